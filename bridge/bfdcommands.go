package bridge

import (
	"errors"
	"fmt"
)

// findBFD are the sessions that a command means: of one interface, or all when it names none.
func (a *Agent) findBFD(names []string) []*bfdSession {
	var list []*bfdSession
	for _, b := range a.sorted() {
		for _, i := range b.sortedIfaces() {
			if i.bfd != nil && (len(names) == 0 || names[0] == i.name) {
				list = append(list, i.bfd)
			}
		}
	}
	return list
}

// bfdShow answers bfd/show.
func (a *Agent) bfdShow(args []string) (string, error) {
	list := a.findBFD(args)
	if len(args) > 0 && len(list) == 0 {
		return "", errors.New("no such bfd object")
	}
	text := ""
	for _, s := range list {
		if len(args) == 0 {
			text += fmt.Sprintf("---- %s ----\n", s.name)
		}
		text += s.session.Show()
	}
	return text, nil
}

// bfdSetForwarding answers bfd/set-forwarding.
func (a *Agent) bfdSetForwarding(args []string) (string, error) {
	var forced *bool
	switch word := args[len(args)-1]; word {
	case "true", "false":
		forced = new(word == "true")
	case "normal":
	default:
		return "", errors.New("unknown fault string")
	}
	list := a.findBFD(args[:len(args)-1])
	if len(args) > 1 && len(list) == 0 {
		return "", errors.New("no such BFD object")
	}
	for _, s := range list {
		s.session.Force(forced)
	}
	a.followLiveness()
	return "OK\n", nil
}
