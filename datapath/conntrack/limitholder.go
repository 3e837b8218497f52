package conntrack

// LimitHolder is a Control whose limits outlive the process, and which remembers whose they are.
type LimitHolder interface {
	// HoldLimits says which limits, and whether the default limit, are those of the database now.
	HoldLimits(zones []uint16, standard bool) error
	// HeldLimits are what HoldLimits has said last.
	HeldLimits() (zones []uint16, standard bool, err error)
}
