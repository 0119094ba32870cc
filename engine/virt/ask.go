package virt

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/digitalocean/go-libvirt"
)

// What is asked again and again of many domains goes past the library, which
// needs a reflection and an allocation for every field of an answer: with ten
// thousand VMs that was most of the console's work.

// ownSerials begins the serials of such calls. The library counts from 1.
const ownSerials = 1 << 31

const (
	procLibVersion     = 157
	procCPUStats       = 227
	procMemoryStats    = 228
	procListAllDomains = 273
	procAllStats       = 344
)

// ask makes one call and gives the payload of its reply, or libvirt's error.
func (w *wire) ask(proc uint32, args []byte) ([]byte, error) {
	serial := ownSerials | w.own.Add(1)
	reply := make(chan []byte, 1)
	p := make([]byte, headerLen, headerLen+len(args))
	for i, v := range []uint32{uint32(headerLen + len(args)), programRemote, 1, proc, typeCall, serial, 0} {
		binary.BigEndian.PutUint32(p[4*i:], v)
	}
	w.mu.Lock()
	w.waiting[serial] = reply
	w.mu.Unlock()
	w.writeMu.Lock()
	_, err := w.inner.Write(append(p, args...))
	w.writeMu.Unlock()
	if err != nil {
		w.fail(err)
		return nil, err
	}
	select {
	case p := <-reply:
		if word(p, 6) != statusOK {
			return nil, errorIn(p[headerLen:])
		}
		return p[headerLen:], nil
	case <-w.done:
		return nil, w.cause()
	}
}

// malformed ends a connection whose peer does not keep to the protocol.
func (w *wire) malformed(proc uint32) error {
	err := fmt.Errorf("not libvirt's protocol: the reply to call %d", proc)
	w.fail(err)
	return err
}

// errorIn reads a remote_error as the library does; it has been walked through.
func errorIn(p []byte) error {
	r := reader{p: p}
	code, _ := r.u32(), r.u32()
	var words []byte
	if r.u32() == 1 {
		words = r.text()
	}
	if strings.Contains(string(words), "unknown procedure") {
		return libvirt.ErrUnsupported
	}
	return libvirt.Error{Code: code, Message: string(words)}
}

func words32(all ...uint32) []byte {
	b := make([]byte, 0, 4*len(all))
	for _, v := range all {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func appendText[T ~string](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	b = append(b, s...)
	return append(b, make([]byte, -len(s)&3)...)
}
