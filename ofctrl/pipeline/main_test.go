package pipeline

import (
	"flag"
	"os"
	"testing"
)

// TestMain makes rapid try more than its 100 cases, which find nothing; -rapid.checks overrides.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "3000"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}
