package vlog

import (
	"errors"
	"fmt"
	"strings"
)

// errUnknownModule is the answer of the rate limit commands.
var errUnknownModule = errors.New("unknown module")

// separators stand between the words of a specification.
const separators = " ,:\t"

// Set obeys one specification of -v or vlog/set: a module, a destination and a level in any order, each of
// which may be missing (all modules, all destinations, DBG), or PATTERN:destination:pattern, or
// FACILITY:name. A wrong one changes nothing; the errors are OVS's.
func (l *Log) Set(spec string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, rest, _ := strings.Cut(strings.TrimLeft(spec, separators), ":")
	switch first {
	case "PATTERN":
		return l.setPatternLocked(rest)
	case "FACILITY":
		f, ok := facilities[strings.ToLower(rest)]
		if !ok {
			return errors.New("invalid facility")
		}
		l.facility = f
		return nil
	}
	return l.setLevelLocked(spec)
}

// SetAll obeys several specifications until one is wrong.
func (l *Log) SetAll(specs ...string) error {
	for _, s := range specs {
		if err := l.Set(s); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) setPatternLocked(rest string) error {
	name, text, _ := strings.Cut(rest, ":")
	if name == "" {
		return errors.New("missing destination")
	}
	if strings.EqualFold(name, "ANY") {
		for d := range numDestinations {
			l.patterns[d] = parsePattern(text)
		}
		return nil
	}
	d, ok := parseDestination(name)
	if !ok {
		return fmt.Errorf(`unknown destination "%s"`, name)
	}
	l.patterns[d] = parsePattern(text)
	return nil
}

func (l *Log) setLevelLocked(spec string) error {
	var (
		m              *module
		dest           Destination
		level          = Dbg
		hasDest, hasLv bool
	)
	for _, word := range strings.FieldsFunc(spec, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if strings.EqualFold(word, "ANY") {
			continue
		}
		if d, ok := parseDestination(word); ok {
			if hasDest {
				return errors.New("cannot specify multiple destinations")
			}
			dest, hasDest = d, true
		} else if lv, ok := parseLevel(word); ok {
			if hasLv {
				return errors.New("cannot specify multiple levels")
			}
			level, hasLv = lv, true
		} else if found := l.modules[strings.ToLower(word)]; found != nil {
			if m != nil {
				return errors.New("cannot specify multiple modules")
			}
			m = found
		} else {
			return fmt.Errorf(`no destination, level, or module "%s"`, word)
		}
	}
	for d := range numDestinations {
		if hasDest && d != dest {
			continue
		}
		if m != nil {
			m.levels[d] = level
			continue
		}
		l.defaults[d] = level
		for _, each := range l.modules {
			each.levels[d] = level
		}
	}
	for _, each := range l.modules {
		each.apply()
	}
	return nil
}

// Level is the level of a module for a destination, Off for an unknown module.
func (l *Log) Level(name string, d Destination) Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.modules[strings.ToLower(name)]; m != nil {
		return m.levels[d]
	}
	return Off
}

// SetRateLimits puts the rate limits of the named modules, or of all, in or out of force.
func (l *Log) SetRateLimits(on bool, names ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range names {
		if l.modules[strings.ToLower(n)] == nil && !strings.EqualFold(n, "ANY") {
			return errUnknownModule
		}
	}
	for _, m := range l.modules {
		named := len(names) == 0
		for _, n := range names {
			named = named || strings.EqualFold(n, m.name) || strings.EqualFold(n, "ANY")
		}
		if named {
			m.limited = on
		}
	}
	return nil
}
