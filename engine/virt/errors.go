package virt

import (
	"context"
	"errors"
	"fmt"

	"github.com/digitalocean/go-libvirt"
)

var (
	// ErrLost says that the connection died. Whether a call that changes
	// something was carried out is not known then; see Unknown.
	ErrLost = errors.New("connection to libvirt lost")
	// ErrTimeout says that the caller's context ended before the answer came.
	ErrTimeout = errors.New("no answer from libvirt in time")
	// ErrUnsupported says that the daemon does not know the call.
	ErrUnsupported = errors.New("this libvirt does not know the call")
)

// Codes of libvirt's errors that decide something here or in other packages.
const (
	CodeNoSupport           uint32 = 3
	CodeInvalidArg          uint32 = 8
	CodeOperationFailed     uint32 = 9
	CodeOperationDenied     uint32 = 29
	CodeSystemError         uint32 = 38
	CodeNoDomain            uint32 = 42
	CodeNoNetwork           uint32 = 43
	CodeNoStoragePool       uint32 = 49
	CodeNoStorageVol        uint32 = 50
	CodeOperationInvalid    uint32 = 55
	CodeOperationTimeout    uint32 = 68
	CodeMigratePersist      uint32 = 69
	CodeArgumentUnsupported uint32 = 74
	CodeOperationAborted    uint32 = 78
	CodeNoDomainSnapshot    uint32 = 72
	CodeNoMetadata          uint32 = 80
	CodeMigrateUnsafe       uint32 = 81
	CodeAgentUnresponsive   uint32 = 86
	CodeStorageVolExists    uint32 = 90
	CodeCPUIncompatible     uint32 = 91
	CodeMigrateFinishOK     uint32 = 93
	CodeAgentCommandTimeout uint32 = 112
)

// Error is what every method of Conn returns when it fails.
type Error struct {
	Doing string // "define the domain"
	Host  string // as given to Open, may be empty
	// Sent tells that the request was handed to the connection. An error
	// with Sent false has certainly changed nothing.
	Sent bool
	// Class is ErrLost, ErrTimeout, ErrUnsupported, or nil for an answer of libvirt.
	Class error
	Err   error
}

// Error reads "cannot define the domain on node1: <libvirt's words>".
func (e *Error) Error() string {
	where := ""
	if e.Host != "" {
		where = " on " + e.Host
	}
	why := ""
	switch {
	case e.Class != nil && e.Err != nil && !errors.Is(e.Err, context.DeadlineExceeded):
		why = e.Class.Error() + " (" + Clean(e.Err.Error()) + ")"
	case e.Class != nil:
		why = e.Class.Error()
	case e.Err != nil:
		why = Clean(e.Err.Error())
	}
	return fmt.Sprintf("cannot %s%s: %s", e.Doing, where, why)
}

// Unwrap gives the class and the cause.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Class != nil {
		all = append(all, e.Class)
	}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	return all
}

// Unknown tells that a request went out and no answer came back: if it was to
// change something, only a look at the host can tell whether it did.
func Unknown(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Sent && (e.Class == ErrLost || e.Class == ErrTimeout)
}

// Code is libvirt's own number for the error, if libvirt answered with one.
func Code(err error) (code uint32, ok bool) {
	var e libvirt.Error
	if errors.As(err, &e) {
		return e.Code, true
	}
	return 0, false
}

// IsCode tells that libvirt answered with this error.
func IsCode(err error, code uint32) bool {
	c, ok := Code(err)
	return ok && c == code
}

// IsNoDomain tells that the host answered and has no such domain.
func IsNoDomain(err error) bool { return IsCode(err, CodeNoDomain) }

// IsUnsupported tells that the daemon or its driver does not have this call.
func IsUnsupported(err error) bool {
	return errors.Is(err, ErrUnsupported) || IsCode(err, CodeNoSupport)
}

// QMPError is an error that QEMU or the guest agent answered with.
type QMPError struct{ Class, Desc string }

// Error gives the words, then the class.
func (e *QMPError) Error() string { return Clean(e.Desc) + " (" + Clean(e.Class) + ")" }

// failed classifies err, which came from the wire library after the request
// had been handed over.
func (c *Conn) failed(doing string, err error) error {
	e := &Error{Doing: doing, Host: c.name, Sent: true, Err: err}
	var lv libvirt.Error
	var qmp *QMPError
	var decode *answerError
	switch {
	case errors.As(err, &lv), errors.As(err, &qmp):
	case errors.Is(err, libvirt.ErrUnsupported):
		e.Class, e.Err = ErrUnsupported, nil
	case errors.As(err, &decode):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Class = ErrTimeout
	default:
		e.Class = ErrLost
		if cause := c.Err(); cause != nil {
			e.Err = cause
		}
	}
	return e
}

// answerError is an answer that could not be understood: the connection is
// fine and the host did what it did.
type answerError struct{ err error }

func (e *answerError) Error() string { return "answer not understood: " + e.err.Error() }
func (e *answerError) Unwrap() error { return e.err }
