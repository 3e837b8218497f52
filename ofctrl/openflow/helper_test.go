package openflow

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

func typeName(v any) string { return strings.TrimPrefix(fmt.Sprintf("%T", v), "*openflow.") }

// unhex reads hexadecimal digits; spaces are for the eye.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
