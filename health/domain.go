package health

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

// maxXML bounds a definition; libvirt's own limit for a message is 32 MiB.
const maxXML = 4 << 20

// agentChannel is the port that the guest agent listens on.
const agentChannel = "org.qemu.guest_agent.0"

// domain is what checks need of a domain's XML.
type domain struct {
	disks []diskDef
	nics  []nicDef
	// agent tells that there is a channel for the guest agent.
	agent bool
}

type diskDef struct {
	target, alias string
	// empty is a drive with nothing in it.
	empty bool
}

type nicDef struct {
	mac, dev, kind, source string
	down                   bool // the link was unplugged by configuration
}

type domainXML struct {
	XMLName xml.Name `xml:"domain"`
	Disks   []struct {
		Source struct {
			Attrs []xml.Attr `xml:",any,attr"`
		} `xml:"source"`
		Target struct {
			Dev string `xml:"dev,attr"`
		} `xml:"target"`
		Alias nameXML `xml:"alias"`
	} `xml:"devices>disk"`
	NICs []struct {
		Type string `xml:"type,attr"`
		MAC  struct {
			Address string `xml:"address,attr"`
		} `xml:"mac"`
		Source struct {
			Bridge  string `xml:"bridge,attr"`
			Network string `xml:"network,attr"`
			Dev     string `xml:"dev,attr"`
		} `xml:"source"`
		Target struct {
			Dev string `xml:"dev,attr"`
		} `xml:"target"`
		Link struct {
			State string `xml:"state,attr"`
		} `xml:"link"`
	} `xml:"devices>interface"`
	Channels []struct {
		Target nameXML `xml:"target"`
	} `xml:"devices>channel"`
}

type nameXML struct {
	Name string `xml:"name,attr"`
}

// namesSource tells a source from what an ejected one leaves behind.
func namesSource(attrs []xml.Attr) bool {
	for _, a := range attrs {
		if a.Name.Local != "index" && a.Name.Local != "startupPolicy" {
			return true
		}
	}
	return false
}

func parseDomain(text string) (domain, error) {
	var (
		x domainXML
		d domain
	)
	if len(text) > maxXML {
		return d, errors.New("the VM's XML is larger than 4 MiB")
	}
	if err := xml.Unmarshal([]byte(text), &x); err != nil {
		return d, fmt.Errorf("the VM's XML is not understood: %w", err)
	}
	for _, k := range x.Disks {
		d.disks = append(d.disks, diskDef{
			target: clean(k.Target.Dev), alias: k.Alias.Name, empty: !namesSource(k.Source.Attrs),
		})
	}
	for _, n := range x.NICs {
		def := nicDef{
			mac: strings.ToLower(clean(n.MAC.Address)), dev: clean(n.Target.Dev), kind: clean(n.Type),
			source: clean(n.Source.Dev), down: n.Link.State == "down",
		}
		switch n.Type {
		case "bridge":
			def.source = clean(n.Source.Bridge)
		case "network":
			def.source = clean(n.Source.Network)
		}
		d.nics = append(d.nics, def)
	}
	for _, c := range x.Channels {
		d.agent = d.agent || c.Target.Name == agentChannel
	}
	return d, nil
}
