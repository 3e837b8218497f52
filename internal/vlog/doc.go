// Package vlog writes the daemon's log in OVS's form: modules with a level of their own per destination
// (console, syslog, file), patterns, rotation, rate limits, and the vlog/ commands and -v options that
// change them. It is a set of logrus loggers, one per module, that share their destinations.
package vlog
