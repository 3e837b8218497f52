package ovsdb

// Snapshot is the desired configuration at one moment. It and everything below it must not be changed.
// A row that has not changed since the last snapshot is the same pointer, where nothing below it has changed
// either; so are maps and slices.
//
// Optional columns are pointers, or "" for strings. ExternalIDs, CurCfg, OFPort and BondActiveSlave are as of
// the snapshot: a change of those alone makes no new one, for the switch does not act on it.
type Snapshot struct {
	UUID        string
	NextCfg     int // to be copied to Status.CurCfg when this configuration is in force
	CurCfg      int
	OtherConfig map[string]string
	ExternalIDs map[string]string
	SSL         *SSL                 // nil if there is none
	Bridges     []*Bridge            // by name
	Datapaths   map[string]*Datapath // by datapath type
	// CollectorSets are the Flow_Sample_Collector_Set rows, by id and bridge.
	CollectorSets []*CollectorSet
}

// Bridge is a row of Bridge.
type Bridge struct {
	UUID                string
	Name                string
	DatapathType        string // "" is the default type
	FailMode            string // "", "standalone" or "secure"
	Protocols           []string
	OtherConfig         map[string]string
	ExternalIDs         map[string]string
	FloodVLANs          []int
	STPEnable           bool
	RSTPEnable          bool
	McastSnoopingEnable bool
	Ports               []*Port       // by name
	Controllers         []*Controller // by target
	Mirrors             []*Mirror     // by name
	FlowTables          map[int]*FlowTable
	NetFlow             *NetFlow
	SFlow               *SFlow
	IPFIX               *IPFIX
}

// Port is a row of Port.
type Port struct {
	UUID            string
	Name            string
	Interfaces      []*Interface // by name; more than one is a bond
	Tag             *int
	Trunks          []int  // empty: all
	VLANMode        string // "" is access with a tag, else trunk
	CVLANs          []int
	QoS             *QoS
	MAC             string
	BondMode        string
	LACP            string
	BondUpdelay     int // ms
	BondDowndelay   int // ms
	BondFakeIface   bool
	BondActiveSlave string // MAC of the active member, as an earlier run wrote it
	FakeBridge      bool
	Protected       bool
	OtherConfig     map[string]string
	ExternalIDs     map[string]string
}

// Interface is a row of Interface.
type Interface struct {
	UUID                      string
	Name                      string
	Type                      string // "" is "system"
	OFPortRequest             *int
	OFPort                    *int   // as last written, also by an earlier run
	MAC                       string // wanted address
	MTURequest                *int
	Options                   map[string]string
	OtherConfig               map[string]string
	ExternalIDs               map[string]string
	BFD                       map[string]string
	LLDP                      map[string]string
	CFMMPID                   *int
	IngressPolicingRate       int // kbit/s
	IngressPolicingBurst      int // kbit
	IngressPolicingKpktsRate  int // kpkt/s
	IngressPolicingKpktsBurst int // kpkt
}

// Controller is a row of Controller.
type Controller struct {
	UUID                 string
	Target               string
	Type                 string // "", "primary" or "service"
	ConnectionMode       string // "", "in-band" or "out-of-band"
	MaxBackoff           *int   // ms
	InactivityProbe      *int   // ms
	EnableAsyncMessages  *bool
	ControllerQueueSize  *int
	ControllerRateLimit  *int // packets per second
	ControllerBurstLimit *int
	LocalIP              string
	LocalNetmask         string
	LocalGateway         string
	OtherConfig          map[string]string
}

// Mirror is a row of Mirror. Ports are named by the UUIDs of their rows.
type Mirror struct {
	UUID          string
	Name          string
	SelectAll     bool
	SelectSrcPort []string
	SelectDstPort []string
	SelectVLAN    []int
	OutputPort    string
	OutputVLAN    *int
	Snaplen       *int   // bytes
	Filter        string // needs schema 8.7.0 or so
}

// FlowTable is a row of Flow_Table.
type FlowTable struct {
	UUID           string
	Name           string
	FlowLimit      *int
	OverflowPolicy string // "", "refuse" or "evict"
	Groups         []string
	Prefixes       []string
}

// QoS is a row of QoS.
type QoS struct {
	UUID        string
	Type        string
	Queues      map[int]*Queue
	OtherConfig map[string]string
}

// Queue is a row of Queue.
type Queue struct {
	UUID        string
	DSCP        *int
	OtherConfig map[string]string
}

// NetFlow is a row of NetFlow.
type NetFlow struct {
	UUID             string
	Targets          []string
	EngineType       *int
	EngineID         *int
	AddIDToInterface bool
	ActiveTimeout    int // seconds; 0: default, -1: off
}

// SFlow is a row of sFlow.
type SFlow struct {
	UUID     string
	Targets  []string
	Agent    string
	Header   *int // bytes
	Polling  *int // seconds
	Sampling *int // one packet in so many
}

// IPFIX is a row of IPFIX.
type IPFIX struct {
	UUID               string
	Targets            []string
	Sampling           *int
	ObsDomainID        *int
	ObsPointID         *int
	CacheActiveTimeout *int // seconds
	CacheMaxFlows      *int
	StatsInterval      *int // seconds
	TemplateInterval   *int // seconds
	OtherConfig        map[string]string
}

// CollectorSet is a row of Flow_Sample_Collector_Set.
type CollectorSet struct {
	UUID         string
	ID           int
	Bridge       string // UUID of the Bridge row
	IPFIX        *IPFIX
	LocalGroupID *int
}

// SSL is the row of SSL: file names for ssl: controllers.
type SSL struct {
	UUID            string
	PrivateKey      string
	Certificate     string
	CACert          string
	BootstrapCACert bool
}

// Datapath is a row of Datapath.
type Datapath struct {
	UUID               string
	CTZones            map[int]*CTZone
	CTZoneDefaultLimit *int // connections
}

// CTZone is a row of CT_Zone with its CT_Timeout_Policy.
type CTZone struct {
	UUID     string
	Limit    *int           // connections
	Timeouts map[string]int // seconds by name, nil if there is no policy
}
