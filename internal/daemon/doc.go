// Package daemon makes a Go process behave as ovs-vswitchd does towards its surroundings: command line,
// directories, process name, detaching, supervision, pidfile, user, memory locking, signals and log.
//
// A Go process cannot fork, so each change of role is an execution of the same program with the same
// arguments and the role in an environment variable:
//
//	user's command ──► (as another user) ──► detached ──► worker
//
// The steps that the options do not ask for are left out; Start returns in the worker only.
package daemon

// Program is the name that the daemon goes by in its process name, messages and files.
const Program = "ovs-vswitchd"
