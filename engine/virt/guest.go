package virt

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// request is what QEMU's monitor and the guest agent are asked with.
type request struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
}

// QMP asks QEMU itself. An error that QEMU answers with is a *QMPError.
func (c *Conn) QMP(ctx context.Context, uuid model.UUID, command string, args any) (json.RawMessage, error) {
	q, err := json.Marshal(request{command, args})
	if err != nil {
		return nil, &Error{Doing: "ask QEMU for " + command, Host: c.name, Err: err}
	}
	return onDomain(ctx, c, uuid, "ask QEMU for "+command, slow, func(l *libvirt.Libvirt, d libvirt.Domain) (json.RawMessage, error) {
		text, err := l.QEMUDomainMonitorCommand(d, string(q), 0)
		if err != nil {
			return nil, err
		}
		return readAnswer(text)
	})
}

// BaseRAM is the RAM that QEMU gave the guest at its start, in bytes.
func (c *Conn) BaseRAM(ctx context.Context, uuid model.UUID) (uint64, error) {
	answer, err := c.QMP(ctx, uuid, "query-memory-size-summary", nil)
	if err != nil {
		return 0, err
	}
	var size struct {
		Base uint64 `json:"base-memory"`
	}
	if err := json.Unmarshal(answer, &size); err != nil {
		return 0, &Error{Doing: "read QEMU's answer to query-memory-size-summary", Host: c.name, Err: err}
	}
	return size.Base, nil
}

// Agent asks the guest's agent; timeout (whole seconds, at least one) is
// libvirt's own, so that the daemon does not wait longer than we do.
func (c *Conn) Agent(ctx context.Context, uuid model.UUID, command string, args any, timeout time.Duration) (json.RawMessage, error) {
	doing := "ask the guest agent for " + command
	q, err := json.Marshal(request{command, args})
	if err != nil {
		return nil, &Error{Doing: doing, Host: c.name, Err: err}
	}
	seconds := max(int32((timeout+time.Second-1)/time.Second), 1)
	return onDomain(ctx, c, uuid, doing, timeout+quick, func(l *libvirt.Libvirt, d libvirt.Domain) (json.RawMessage, error) {
		text, err := l.QEMUDomainAgentCommand(d, string(q), seconds, 0)
		if err != nil {
			return nil, err
		}
		if len(text) == 0 {
			return nil, &answerError{errors.New("an empty answer")}
		}
		return readAnswer(text[0])
	})
}

// readAnswer takes the value out of an answer of QEMU or of the agent.
func readAnswer(text string) (json.RawMessage, error) {
	var a struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Class string `json:"class"`
			Desc  string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return nil, &answerError{err}
	}
	if a.Error != nil {
		return nil, &QMPError{Class: a.Error.Class, Desc: a.Error.Desc}
	}
	if a.Return == nil {
		return nil, &answerError{errors.New("neither a value nor an error")}
	}
	return a.Return, nil
}

// AddressSource says whom to ask for a guest's addresses.
type AddressSource uint32

// Sources of addresses.
const (
	AddressLease AddressSource = 0 // libvirt's own DHCP server
	AddressAgent AddressSource = 1 // the guest
	AddressARP   AddressSource = 2 // the host's neighbour table
)

// IfaceAddr is one interface of a guest with its addresses, as the source
// names it; MAC is the way to match it with a NIC.
type IfaceAddr struct {
	Name, MAC string
	IPs       []string
}

// Addresses asks for the guest's addresses.
func (c *Conn) Addresses(ctx context.Context, uuid model.UUID, source AddressSource) ([]IfaceAddr, error) {
	ifaces, err := onDomain(ctx, c, uuid, "read the guest's addresses", slow, func(l *libvirt.Libvirt, d libvirt.Domain) ([]libvirt.DomainInterface, error) {
		return l.DomainInterfaceAddresses(d, uint32(source), 0)
	})
	out := make([]IfaceAddr, 0, len(ifaces))
	for _, i := range ifaces {
		a := IfaceAddr{Name: Clean(i.Name)}
		if len(i.Hwaddr) > 0 {
			a.MAC = Clean(i.Hwaddr[0])
		}
		for _, ip := range i.Addrs {
			a.IPs = append(a.IPs, Clean(ip.Addr))
		}
		out = append(out, a)
	}
	return out, err
}
