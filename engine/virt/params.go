package virt

import (
	"time"

	"github.com/digitalocean/go-libvirt"
)

// number reads any integer of a typed parameter; negative ones count as zero.
func number(p libvirt.TypedParam) uint64 {
	switch v := p.Value.I.(type) {
	case int32:
		return uint64(max(v, 0))
	case uint32:
		return uint64(v)
	case int64:
		return uint64(max(v, 0))
	case uint64:
		return v
	}
	return 0
}

func words(p libvirt.TypedParam) string {
	s, _ := p.Value.I.(string)
	return Clean(s)
}

// milliseconds reads a duration, bounded to what one can hold.
func milliseconds(p libvirt.TypedParam) time.Duration {
	return time.Duration(min(number(p), uint64((1<<63-1)/time.Millisecond))) * time.Millisecond
}

// The makers of parameters: a parameter without its type cannot be encoded.
func unsigned(name string, v uint64) libvirt.TypedParam {
	return libvirt.TypedParam{Field: name, Value: *libvirt.NewTypedParamValueUllong(v)}
}

func integer(name string, v int) libvirt.TypedParam {
	return libvirt.TypedParam{Field: name, Value: *libvirt.NewTypedParamValueInt(int32(v))}
}

func text(name, v string) libvirt.TypedParam {
	return libvirt.TypedParam{Field: name, Value: *libvirt.NewTypedParamValueString(v)}
}
