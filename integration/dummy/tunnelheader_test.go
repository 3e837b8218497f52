package dummy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outer is the outer header of a packet that is sent into a tunnel, as far as both forms of datapath actions tell it.
type outer struct {
	Port, Dst, TOS, TTL, Key, Options string
	DF, Csum, OAM                     bool
}

// sends is what a trace sends into tunnels, and the megaflow that does.
type sends struct {
	Outer    []outer
	Megaflow string
}

var (
	push    = regexp.MustCompile(`tnl_push\(tnl_port\((\d+)\),header\(.*?\)\)?,out_port\(`)
	setOut  = regexp.MustCompile(`set\(tunnel\((.*?\))\)\)|(?:^|,)(\d+)`)
	item    = regexp.MustCompile(`([a-z0-9_]+)=([^,()]*)`)
	options = regexp.MustCompile(`\{.*\}`)
)

// headers reads a trace of the stock daemon, which pushes headers, or of ours, which tells tunnels.
func headers(t *testing.T, trace string) (s sends) {
	t.Helper()
	var actions string
	for _, l := range strings.Split(trace, "\n") {
		if text, ok := strings.CutPrefix(l, "Megaflow: "); ok {
			s.Megaflow = strings.Replace(text, "nw_proto=0,", "", 1) // which the stock daemon reads to set a field of IP
		}
		if text, ok := strings.CutPrefix(l, "Datapath actions: "); ok {
			actions = text
		}
	}
	if strings.Contains(actions, "tnl_push") {
		for _, m := range push.FindAllString(actions, -1) {
			s.Outer = append(s.Outer, pushed(t, m))
		}
		return s
	}
	var now outer
	for _, m := range setOut.FindAllStringSubmatch(actions, -1) {
		switch {
		case m[1] != "":
			now = told(m[1])
		default:
			now.Port = m[2]
			if now.Dst == "" {
				t.Errorf("%s: sent without a tunnel", actions)
			}
			s.Outer = append(s.Outer, now)
		}
	}
	return s
}

func items(text string) map[string]string {
	m := map[string]string{}
	for _, i := range item.FindAllStringSubmatch(options.ReplaceAllString(text, ""), -1) {
		m[i[1]] = i[2]
	}
	return m
}

// pushed reads tnl_push().
func pushed(t *testing.T, text string) outer {
	ip := regexp.MustCompile(`ipv[46]\((.*?)\)`).FindStringSubmatch(text)
	if ip == nil {
		t.Fatalf("no IP header in %s", text)
	}
	h, all := items(ip[1]), items(text)
	o := outer{Port: push.FindStringSubmatch(text)[1], Dst: h["dst"], TOS: number(h["tos"] + h["tclass"]), TTL: number(h["ttl"] + h["hlimit"]), DF: h["frag"] == "0x4000",
		Options: options.FindString(text), OAM: strings.Contains(text, "oam")}
	if o.Key = number(all["vni"]); o.Key == "" {
		o.Key = number(all["key"])
	}
	o.Csum = all["csum"] == "0xffff"
	if h["proto"] == "47" {
		flags := number(all["flags"])
		o.Csum = flags == "32768" || flags == "40960" // bit C of GRE
	}
	return o
}

// told reads the inside of set(tunnel()).
func told(text string) outer {
	i := items(text)
	flags := regexp.MustCompile(`flags\((.*?)\)`).FindStringSubmatch(text)
	has := func(f string) bool { return flags != nil && slices.Contains(strings.Split(flags[1], "|"), f) }
	o := outer{Dst: i["dst"] + i["ipv6_dst"], TOS: number(i["tos"]), TTL: number(i["ttl"]), Key: number(i["tun_id"]), Options: options.FindString(text),
		DF: has("df") && i["ipv6_dst"] == "", Csum: has("csum"), OAM: has("oam")}
	if o.TOS == "" {
		o.TOS = "0"
	}
	if o.Key == "" && i["tp_dst"] != "" {
		o.Key = "0" // headers over UDP always have one
	}
	return o
}

// number is a number in decimal, "" as it is.
func number(text string) string {
	var n uint64
	if _, err := fmt.Sscan(text, &n); err != nil {
		return text
	}
	return fmt.Sprint(n)
}

// arrivalLines are the lines of a trace that tell what arrived: not what is sent into tunnels then.
func arrivalLines(out string) (lines []string) {
	for _, l := range strings.Split(out, "\n") {
		switch {
		case strings.HasPrefix(l, "Megaflow: "):
			l = noIPv4.ReplaceAllString(l, "")
		case strings.HasPrefix(l, "Datapath actions: "):
			l = cutTunnels.ReplaceAllString(l, "TUNNEL")
		case strings.HasPrefix(l, "Final flow: "), strings.Contains(l, " tunnel"), strings.Contains(l, "tunneling"), strings.Contains(l, "bridge("), l == "", strings.HasPrefix(l, "---"):
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

// noIPv4 is what ours says in a megaflow of a tunnel over IPv6: it looks for an address of IPv4 first.
var noIPv4 = regexp.MustCompile(`tun_(src|dst)=0\.0\.0\.0(/\d+)?,`)

var cutTunnels = regexp.MustCompile(`set\(tunnel\(.*?\)\)\),\d+|clone\(tnl_push.*?out_port\(\d+\)\),\d+\)|tnl_push.*?out_port\(\d+\)\),\d+`)
