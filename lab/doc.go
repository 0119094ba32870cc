// Package lab makes real libvirt hosts on one machine out of namespaces.
package lab

// InitIfChild turns this process into process 1 of a lab host if it was
// started as one, and returns otherwise.
func InitIfChild() {}
