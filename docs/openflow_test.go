// Package docs checks what the documentation says.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A row of openflow.md: names in backquotes, priority, state, tests.
var (
	docRow   = regexp.MustCompile("^\\| `([^`]+)`(?: to `([^`]+)`)? \\| ([^|]+) \\| ([^|]+) \\| ([^|]+) \\|$")
	docState = regexp.MustCompile(`^(works|stored(, executed in issue [0-9]+)?|refused with [A-Z0-9_]+)( \([^()]+\))?$`)
	docTest  = regexp.MustCompile(`^([a-z/]+)\.(Test\w+)(?:/(.+))?$`)
	numbered = regexp.MustCompile(`^(.*?)([0-9]+)$`)
)

// TestOpenFlow checks that openflow.md has each row of the reference (testdata/openflow.tsv: table, row, priority) once, with a
// state and with tests that exist.
func TestOpenFlow(t *testing.T) {
	want := map[string]string{} // priority by table and row
	for _, line := range lines(t, "testdata/openflow.tsv") {
		w := strings.Split(line, "\t")
		if len(w) != 3 {
			t.Fatalf("%q: want a table, a row and a priority", line)
		}
		want[w[0]+" "+w[1]] = w[2]
	}
	if len(want) < 300 {
		t.Fatalf("the reference has %d rows: where are they?", len(want))
	}
	tables := map[string]string{"## Match fields": "fields", "## Keywords": "keywords", "## Actions and instructions": "actions", "## Messages and multiparts": "messages"}
	table := ""
	seen := map[string]bool{}
	for i, line := range lines(t, "openflow.md") {
		if strings.HasPrefix(line, "## ") {
			if table = tables[line]; table == "" {
				t.Errorf("line %d: no such table: %s", i+1, line)
			}
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		m := docRow.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("line %d is no row: %s", i+1, line)
			continue
		}
		names, err := expand(m[1], m[2])
		if err != nil {
			t.Errorf("line %d: %v", i+1, err)
		}
		for _, n := range names {
			key := table + " " + n
			switch prio, ok := want[key]; {
			case !ok:
				t.Errorf("line %d: %s is not in the reference", i+1, key)
			case prio != m[3]:
				t.Errorf("line %d: %s has priority %s, want %s", i+1, key, m[3], prio)
			case seen[key]:
				t.Errorf("line %d: %s for the second time", i+1, key)
			}
			seen[key] = true
		}
		if !docState.MatchString(m[4]) {
			t.Errorf("line %d: no state: %s", i+1, m[4])
		}
		for _, name := range strings.Split(m[5], "; ") {
			if err := exists(name); err != nil {
				t.Errorf("line %d: %v", i+1, err)
			}
		}
	}
	for key := range want {
		if !seen[key] {
			t.Errorf("openflow.md lacks %s", key)
		}
	}
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// expand lists the names from first to last, which differ in the number at their end; last may be "".
func expand(first, last string) ([]string, error) {
	if last == "" {
		return []string{first}, nil
	}
	a, b := numbered.FindStringSubmatch(first), numbered.FindStringSubmatch(last)
	if a == nil || b == nil || a[1] != b[1] {
		return nil, fmt.Errorf("%s to %s is no range", first, last)
	}
	from, err1 := strconv.Atoi(a[2])
	to, err2 := strconv.Atoi(b[2])
	if err1 != nil || err2 != nil || from >= to || to > 1000 {
		return nil, fmt.Errorf("%s to %s is no range", first, last)
	}
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint(a[1], i))
	}
	return list, nil
}

// exists looks for a test: directory.TestName, and /case for one that the directory's tests have as a string.
func exists(name string) error {
	m := docTest.FindStringSubmatch(name)
	if m == nil {
		return fmt.Errorf("%q is no test", name)
	}
	files, err := filepath.Glob(filepath.Join("..", m[1], "*_test.go"))
	if err != nil {
		return err
	}
	test, named := false, m[3] == ""
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		test = test || strings.Contains(string(b), "\nfunc "+m[2]+"(t *testing.T)")
		named = named || strings.Contains(string(b), strconv.Quote(m[3]))
	}
	if !test || !named {
		return fmt.Errorf("there is no test %s", name)
	}
	return nil
}
