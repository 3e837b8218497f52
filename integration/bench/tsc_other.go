//go:build !amd64

package main

func tsc() uint64 { return 0 }

const hasTSC = false
