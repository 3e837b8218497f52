// Package models holds the rows of the Open_vSwitch database as Go structs, generated from
// schemas/vswitch.ovsschema by libovsdb's modelgen.
package models

//go:generate go tool modelgen -extended -p models -o . ../../schemas/vswitch.ovsschema
