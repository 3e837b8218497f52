package daemon

import (
	"fmt"
	"strings"
)

type argument int

const (
	noArgument argument = iota
	requiredArgument
	optionalArgument
)

// option is one entry of a getopt_long(3) table.
type option struct {
	long  string
	short byte // 0 without a short form
	arg   argument
	// set obeys the option; has says whether a value was given. stop ends parsing, as --help does.
	set func(value string, has bool) (stop bool, err error)
}

// getopt reads args as GNU getopt_long(3) does: options and other words in any order, "--" ends the
// options, unambiguous abbreviations, "--name=value" and "--name value", clusters of short options, values
// of optional arguments only when attached. The errors are getopt's, without the program's name.
func getopt(args []string, table []option) (words []string, err error) {
	for len(args) > 0 {
		a := args[0]
		args = args[1:]
		var stop bool
		switch {
		case a == "--":
			return append(words, args...), nil
		case strings.HasPrefix(a, "--"):
			stop, args, err = longOption(a[2:], args, table)
		case len(a) > 1 && a[0] == '-':
			stop, args, err = shortOptions(a[1:], args, table)
		default:
			words = append(words, a)
		}
		if err != nil || stop {
			return words, err
		}
	}
	return words, nil
}

func longOption(a string, rest []string, table []option) (stop bool, left []string, err error) {
	name, value, has := strings.Cut(a, "=")
	o, err := findLong(name, table)
	if err != nil {
		return false, rest, err
	}
	switch {
	case has && o.arg == noArgument:
		return false, rest, fmt.Errorf("option '--%s' doesn't allow an argument", o.long)
	case !has && o.arg == requiredArgument:
		if len(rest) == 0 {
			return false, rest, fmt.Errorf("option '--%s' requires an argument", o.long)
		}
		value, has, rest = rest[0], true, rest[1:]
	}
	stop, err = o.set(value, has)
	return stop, rest, err
}

func findLong(name string, table []option) (*option, error) {
	var found []*option
	for i := range table {
		o := &table[i]
		if o.long == name {
			return o, nil
		}
		if strings.HasPrefix(o.long, name) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("unrecognized option '--%s'", name)
	case 1:
		return found[0], nil
	}
	var b strings.Builder
	for _, o := range found {
		fmt.Fprintf(&b, " '--%s'", o.long)
	}
	return nil, fmt.Errorf("option '--%s' is ambiguous; possibilities:%s", name, b.String())
}

func shortOptions(cluster string, rest []string, table []option) (stop bool, left []string, err error) {
	for i := 0; i < len(cluster); i++ {
		var o *option
		for j := range table {
			if table[j].short == cluster[i] {
				o = &table[j]
			}
		}
		if o == nil {
			return false, rest, fmt.Errorf("invalid option -- '%c'", cluster[i])
		}
		if o.arg == noArgument {
			if stop, err = o.set("", false); stop || err != nil {
				return stop, rest, err
			}
			continue
		}
		value := cluster[i+1:]
		has := value != ""
		if !has && o.arg == requiredArgument {
			if len(rest) == 0 {
				return false, rest, fmt.Errorf("option requires an argument -- '%c'", cluster[i])
			}
			value, has, rest = rest[0], true, rest[1:]
		}
		stop, err = o.set(value, has)
		return stop, rest, err
	}
	return false, rest, nil
}
