package virt

import (
	"encoding/xml"
	"strings"
)

// Attributes and elements of a domain's XML that name something which a move
// finds again by its name.
var (
	namingAttributes = map[string]bool{
		"file": true, "dev": true, "dir": true, "volume": true, "pool": true, "path": true, "name": true, "bridge": true, "network": true, "template": true,
	}
	namingElements = map[string]bool{
		"name": true, "nvram": true, "loader": true, "kernel": true, "initrd": true, "dtb": true, "emulator": true,
	}
)

// Altered lists the names in a domain's XML that Clean changes (line breaks,
// control characters, what turns the writing direction): what this program
// shows and compares is not what the host has, so nothing may be done by them.
func Altered(text string) []string {
	if scan(text, nil) != nil {
		return nil // ParseDomain refuses it
	}
	var (
		all  []string
		path []string
	)
	note := func(s string) {
		if c := Clean(s); c != s && len(all) < 16 {
			all = append(all, c)
		}
	}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		t, err := d.RawToken()
		if err != nil {
			return all
		}
		switch t := t.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if len(path) > 1 && path[1] == "metadata" {
				continue
			}
			for _, a := range t.Attr {
				if namingAttributes[a.Name.Local] {
					note(a.Value)
				}
			}
		case xml.EndElement:
			path = path[:max(0, len(path)-1)]
		case xml.CharData:
			if n := len(path); n > 0 && namingElements[path[n-1]] && (n < 2 || path[1] != "metadata") {
				note(strings.TrimSpace(string(t)))
			}
		}
	}
}
