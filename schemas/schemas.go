// Package schemas holds the OVSDB schema of the Open_vSwitch database.
package schemas

import _ "embed"

//go:embed vswitch.ovsschema
var vswitch string

// VSwitch is the text of the Open_vSwitch schema, version 8.8.0 (RFC 7047 section 3.2).
func VSwitch() string { return vswitch }
