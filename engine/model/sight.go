package model

// Sight is what a person has before the eyes: it decides what is asked often.
// The rest is asked slowly; what libvirt tells by itself costs nothing.
type Sight struct {
	// Close are the VMs that are looked at one by one, or on the move.
	Close []UUID
	// VMs and Nodes are the rows on screen.
	VMs   []Place
	Nodes []NodeName
	// All is set while what is shown depends on the figures of all VMs: the order,
	// say, if it is by CPU use.
	All bool
	// Away is set while nobody seems to look: no key for a while, or the terminal
	// has lost the focus.
	Away bool
}

// Place is one VM on one node.
type Place struct {
	UUID UUID
	Node NodeName
}
