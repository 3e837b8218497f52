package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// findProgram finds one of OVS's programs, also where a user's PATH does not lead.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: the embedded database needs it (on Debian in the packages openvswitch-switch and openvswitch-common)", name)
}

// prepareFile makes a database with a schema, or converts one whose schema is older. One that is newer is left.
func prepareFile(ctx context.Context, file, schema string) error {
	tool, err := findProgram("ovsdb-tool")
	if err != nil {
		return err
	}
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, tool, args...)
		var out, diag tail
		cmd.Stdout, cmd.Stderr = &out, &diag
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("ovsdb-tool %s %s: %w%s", args[0], file, err, &diag)
		}
		return strings.TrimSpace(string(out.b)), nil
	}
	want, err := schemaVersion(schema)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp("", "ovs-bpf-*.ovsschema")
	if err != nil {
		return fmt.Errorf("schema for ovsdb-tool: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(schema)
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("schema for ovsdb-tool: %w", err)
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(file)); err != nil {
			return fmt.Errorf("directory of the database: %w", err)
		}
		_, err := run("create", file, temp.Name())
		return err
	} else if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	have, err := run("db-version", file)
	if err != nil {
		return err
	}
	older, err := olderVersion(have, want)
	if err != nil || !older {
		return err
	}
	// As ovs-ctl does: the way back is kept.
	if err := copyFile(file, file+".backup"+have); err != nil {
		return fmt.Errorf("backup before the conversion to schema %s: %w", want, err)
	}
	_, err = run("convert", file, temp.Name())
	return err
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o640)
}

// schemaVersion is the version in a schema's text.
func schemaVersion(schema string) (string, error) {
	var s struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal([]byte(schema), &s); err != nil {
		return "", fmt.Errorf("schema: %w", err)
	}
	return s.Version, nil
}

// olderVersion compares versions of the form X.Y.Z.
func olderVersion(a, b string) (bool, error) {
	x, err := parseVersion(a)
	if err != nil {
		return false, err
	}
	y, err := parseVersion(b)
	if err != nil {
		return false, err
	}
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i], nil
		}
	}
	return false, nil
}

func parseVersion(text string) ([3]int, error) {
	var v [3]int
	parts := strings.Split(text, ".")
	if len(parts) != len(v) {
		return v, fmt.Errorf("schema version %q: want three numbers", text)
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return v, fmt.Errorf("schema version %q: want three numbers", text)
		}
		v[i] = n
	}
	return v, nil
}
