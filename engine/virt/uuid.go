package virt

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

func parseUUID(u model.UUID) (libvirt.UUID, error) {
	var raw libvirt.UUID
	b, err := hex.DecodeString(strings.ReplaceAll(string(u), "-", ""))
	if err != nil || len(b) != len(raw) {
		return raw, fmt.Errorf("%q is not a UUID", Clean(string(u)))
	}
	copy(raw[:], b)
	return raw, nil
}

func formatUUID(raw libvirt.UUID) model.UUID {
	var b [36]byte
	hex.Encode(b[0:8], raw[0:4])
	b[8] = '-'
	hex.Encode(b[9:13], raw[4:6])
	b[13] = '-'
	hex.Encode(b[14:18], raw[6:8])
	b[18] = '-'
	hex.Encode(b[19:23], raw[8:10])
	b[23] = '-'
	hex.Encode(b[24:36], raw[10:16])
	return model.UUID(b[:])
}
