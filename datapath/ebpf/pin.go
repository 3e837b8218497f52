package ebpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// pinDir is the directory of one instance on a bpffs. In it is one directory per layout:
//
//	v1_<hash of sizes>/   map_<name>, ring_<n>, progs_<n>, link_<ifindex>_<ingress|egress|underlay>
//	next/                 one that is being made
//	owner_*               symbolic links that say whose it is (Claim)
//
// bpffs allows no dots in names.
type pinDir struct {
	root   string
	lock   *os.File // flock: one instance at a time
	layout string
	progs  string // pin of the program array of this load
}

func openPinDir(root string) (*pinDir, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make pin directory: %w", err)
	}
	if !isBPFFS(root) {
		return nil, fmt.Errorf("pin directory %s is not on a bpffs", root)
	}
	f, err := os.Open(root)
	if err != nil {
		return nil, fmt.Errorf("open pin directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("pin directory %s is in use by another instance", root)
		}
		return nil, fmt.Errorf("lock pin directory %s: %w", root, err)
	}
	if err := checkOurs(root); err != nil {
		f.Close()
		return nil, err
	}
	return &pinDir{root: root, lock: f}, nil
}

func (p *pinDir) close() { p.lock.Close() }

func (p *pinDir) dir() string { return filepath.Join(p.root, p.layout) }

// mapPath is where a map is pinned; bpffs allows no dots.
func (p *pinDir) mapPath(dir, name string) string {
	return filepath.Join(dir, "map_"+strings.TrimPrefix(name, tablePrefix))
}

func (p *pinDir) ringPath(i uint32) string { return p.path(fmt.Sprintf("ring_%d", i)) }

func (p *pinDir) path(name string) string { return filepath.Join(p.dir(), name) }

// loadMaps opens the pinned maps of this layout: all, or nil if there are none. A directory
// that lacks some is taken away: it is not usable. Something else under the name of a map is an error.
func (p *pinDir) loadMaps(spec *ebpf.CollectionSpec) (map[string]*ebpf.Map, error) {
	if err := removeTree(filepath.Join(p.root, "next")); err != nil {
		return nil, err
	}
	if _, err := os.Stat(p.dir()); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	maps := map[string]*ebpf.Map{}
	for name, ms := range spec.Maps {
		if fresh(name) {
			continue
		}
		m, err := ebpf.LoadPinnedMap(p.mapPath(p.dir(), name), nil)
		if err == nil {
			if err = ms.Compatible(m); err == nil {
				maps[name] = m
				continue
			}
			m.Close()
		}
		for _, m := range maps {
			m.Close()
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil, removeTree(p.dir())
		}
		return nil, fmt.Errorf("%s is not the map that belongs there (remove %s to start without its flows): %w", p.mapPath(p.dir(), name), p.dir(), err)
	}
	return maps, nil
}

// pinMaps makes the directory of this layout, complete or not at all.
func (p *pinDir) pinMaps(maps map[string]*ebpf.Map) error {
	next := filepath.Join(p.root, "next")
	if err := os.Mkdir(next, 0o700); err != nil {
		return fmt.Errorf("make pin directory: %w", err)
	}
	for name, m := range maps {
		if fresh(name) {
			continue
		}
		path := p.mapPath(next, name)
		if err := m.Pin(path); err != nil {
			return fmt.Errorf("pin map %s: %w", name, err)
		}
	}
	if err := os.Rename(next, p.dir()); err != nil {
		return fmt.Errorf("name pin directory: %w", err)
	}
	return nil
}

// pinProgs keeps the program array, which the kernel empties when nobody has it. The one of
// the programs that run now stays beside it until settle.
func (p *pinDir) pinProgs(m *ebpf.Map) error {
	for i := range 100 {
		path := p.path(fmt.Sprintf("progs_%d", i))
		err := m.Pin(path)
		if err == nil {
			p.progs = path
			return nil
		}
		if !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("pin program array: %w", err)
		}
	}
	return fmt.Errorf("pin program array: too many in %s", p.dir())
}

// settle removes the other program arrays, after all links have the new programs.
func (p *pinDir) settle() error {
	olds, err := filepath.Glob(p.path("progs_*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, old := range olds {
		if old != p.progs {
			errs = append(errs, os.Remove(old))
		}
	}
	return errors.Join(errs...)
}

// loadLink opens the pinned link of a device, in this layout or in one before, and says
// where it is; nil if there is none that is still attached to that device.
func (p *pinDir) loadLink(h *hook) (link.Link, string) {
	name := h.pinName()
	dirs := append([]string{p.dir()}, p.others()...)
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		l, err := link.LoadPinnedLink(path, nil)
		if err != nil {
			continue
		}
		if info, err := l.Info(); err == nil {
			if x := info.TCX(); x != nil && x.Ifindex == uint32(h.ifindex) {
				return l, path
			}
		}
		l.Close()
		os.Remove(path)
	}
	return nil, ""
}

// others are the directories of other layouts.
func (p *pinDir) others() []string {
	ents, err := os.ReadDir(p.root)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range ents {
		if e.IsDir() && strings.HasPrefix(e.Name(), "v") && e.Name() != p.layout {
			out = append(out, filepath.Join(p.root, e.Name()))
		}
	}
	return out
}

// removeAll takes everything away, the directory too.
func (p *pinDir) removeAll() error {
	if err := checkOurs(p.root); err != nil {
		return err
	}
	return removeTree(p.root)
}

func removeTree(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove pins: %w", err)
	}
	return nil
}
