package ovsdb

// Status is the complete state of the switch as the database shows it; rows are named by their UUIDs. A row
// that is not in its map is left as it is. In a row, an absent value (nil, "", an empty map) empties its column.
// Columns that the server does not have are left out.
//
// Client.Write keeps the Status to compare the next one with it, so neither it nor its maps may be changed
// afterwards; maps may be shared between one Status and the next.
type Status struct {
	// CurCfg is Snapshot.NextCfg of the configuration in force; nil before the first one is.
	CurCfg        *int
	DatapathTypes []string // sorted; nil leaves the column as it is
	IfaceTypes    []string // sorted; nil leaves the column as it is
	// Statistics are host figures, for other_config:enable-statistics.
	Statistics  map[string]string
	Bridges     map[string]BridgeStatus
	Ports       map[string]PortStatus
	Interfaces  map[string]InterfaceStatus
	Mirrors     map[string]MirrorStatus
	Controllers map[string]ControllerStatus
	// Datapaths are by datapath type, not by UUID. Others make the rows; types without one are ignored.
	Datapaths map[string]DatapathStatus
}

// BridgeStatus is what the switch writes to a Bridge row.
type BridgeStatus struct {
	DatapathID      string // 16 hex digits
	DatapathVersion string
	Status          map[string]string // stp_*
	RSTPStatus      map[string]string
}

// PortStatus is what the switch writes to a Port row.
type PortStatus struct {
	BondActiveSlave string // MAC of the active member
	Status          map[string]string
	Statistics      map[string]int64
	RSTPStatus      map[string]string
	RSTPStatistics  map[string]int64
}

// InterfaceStatus is what the switch writes to an Interface row.
type InterfaceStatus struct {
	OFPort      *int    // -1 if the interface could not be made
	Error       *string // why
	MACInUse    string
	AdminState  string // "up" or "down"
	LinkState   string // "up" or "down"
	LinkSpeed   *int64 // bit/s
	LinkResets  *int64
	Duplex      string // "half" or "full"
	MTU         *int
	IfIndex     *int
	LACPCurrent *bool
	BFDStatus   map[string]string
	Status      map[string]string
	Statistics  map[string]int64
}

// MirrorStatus is what the switch writes to a Mirror row.
type MirrorStatus struct {
	Statistics map[string]int64
}

// ControllerStatus is what the switch writes to a Controller row.
type ControllerStatus struct {
	IsConnected bool
	Role        string // "other", "master" or "slave"
	Status      map[string]string
}

// DatapathStatus is what the switch writes to a Datapath row.
type DatapathStatus struct {
	Version      string // "" leaves the column to who made the row
	Capabilities map[string]string
}
