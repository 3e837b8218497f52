package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// place is where a piece of the bench runs.
type place struct {
	ns   string // a network namespace of "ip netns"
	cpu  int    // -1: any
	fifo bool   // before everything that is not real-time; else at nice -20
}

// on runs f on a thread of its own at a place and waits for it. The thread ends with f, because
// nobody else may get one that is in another namespace.
func on(p place, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := p.enter(); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

func (p place) enter() error {
	ns, err := netns.GetFromName(p.ns)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", p.ns, err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter namespace %s: %w", p.ns, err)
	}
	if p.cpu >= 0 {
		var set unix.CPUSet
		set.Set(p.cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("move to CPU %d: %w", p.cpu, err)
		}
	}
	if p.fifo {
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: fifoPriority}, 0); err != nil {
			return fmt.Errorf("become real-time: %w", err)
		}
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("sleep exactly: %w", err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nicest); err != nil {
		return fmt.Errorf("raise the priority: %w", err)
	}
	return nil
}

const (
	fifoPriority = 20
	nicest       = -20
)

// command is a command line that runs at a place.
func (p place) command(args ...string) []string {
	line := []string{"nsenter", "--net=" + p.path()}
	if p.cpu >= 0 {
		line = append(line, "taskset", "-c", fmt.Sprint(p.cpu))
	}
	if p.fifo {
		line = append(line, "chrt", "-f", fmt.Sprint(fifoPriority))
	} else {
		line = append(line, "nice", "-n", fmt.Sprint(nicest))
	}
	return append(line, args...)
}

func (p place) path() string { return "/run/netns/" + p.ns }

// load is the load average of the last minute.
func load() float64 {
	var one float64
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Sscan(string(b), &one)
	}
	return one
}
