package virt

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	// maxXML is the longest string that libvirt's protocol carries.
	maxXML = 4 << 20
	// maxDepth is far beyond what libvirt writes (a long backing chain).
	maxDepth = 1000
)

// scan reads all of a document once, without making anything of it: it must be
// small enough, not nested too deep, and well formed. visit, if not nil, sees
// the byte range of every child of the root.
func scan(text string, visit func(name string, from, to int64)) error {
	if len(text) > maxXML {
		return fmt.Errorf("XML of %d bytes is too long", len(text))
	}
	d := xml.NewDecoder(strings.NewReader(text))
	var (
		depth int
		name  string
		from  int64
	)
	for {
		before := d.InputOffset()
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			if depth != 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return errors.New("XML is nested too deep")
			}
			if depth == 2 {
				name, from = t.Name.Local, before
			}
		case xml.EndElement:
			if depth == 2 && visit != nil {
				visit(name, from, d.InputOffset())
			}
			depth--
		case xml.Directive:
			return errors.New("XML with a document type")
		}
	}
}

// parseXML reads a document of a host. The readers of libvirtxml were written
// for libvirt's own output; whatever they do with other input ends here.
func parseXML(text string, into any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("XML not understood: %v", r)
		}
	}()
	if err := scan(text, nil); err != nil {
		return err
	}
	return xml.Unmarshal([]byte(text), into)
}

// scaled applies one of libvirt's units of size; an empty or unknown one means
// def bytes.
func scaled(v uint64, unit string, def uint64) uint64 {
	factor := def
	switch strings.ToLower(unit) {
	case "b", "byte", "bytes":
		factor = 1
	case "kb":
		factor = 1e3
	case "k", "kib":
		factor = 1 << 10
	case "mb":
		factor = 1e6
	case "m", "mib":
		factor = 1 << 20
	case "gb":
		factor = 1e9
	case "g", "gib":
		factor = 1 << 30
	case "tb":
		factor = 1e12
	case "t", "tib":
		factor = 1 << 40
	case "pb":
		factor = 1e15
	case "p", "pib":
		factor = 1 << 50
	case "e", "eib":
		factor = 1 << 60
	}
	if factor != 0 && v > math.MaxUint64/factor {
		return math.MaxUint64
	}
	return v * factor
}
