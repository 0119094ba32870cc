package lab

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// Options says which lab to make. The zero value is the default lab without VMs.
type Options struct {
	Dir    string // where all labs of this machine live, DefaultDir if empty
	Prefix string // name of this lab, at most 8 letters and digits
	Subnet string // an IPv4 network nobody here uses, /16 to /24
	Nodes  int    // how many hosts, 1 to 64
	VMs    []VMSpec
	// Release is the Debian that hosts run: "trixie", or "node3=trixie" for one of
	// them; several with commas between. What is not named runs the machine's own.
	Release string
	// ImagesBytes is the size of each host's disk for images, 8 GiB if 0. The
	// file behind it is sparse.
	ImagesBytes int64
	// Log gets one line for each step; nil for none.
	Log io.Writer
	// NoInstall makes a missing package an error instead of installing it.
	NoInstall bool
}

const defaultImagesBytes = 8 << 30

func (o Options) withDefaults() Options {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Subnet == "" {
		o.Subnet = DefaultSubnet
	}
	if o.Nodes == 0 {
		o.Nodes = DefaultNodes
	}
	if o.ImagesBytes == 0 {
		o.ImagesBytes = defaultImagesBytes
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

// Validate says what is wrong with the options, before anything is touched.
func (o Options) Validate() error {
	o = o.withDefaults()
	if err := checkDir(o.Dir); err != nil {
		return err
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return err
	}
	plan, err := parseSubnet(o.Subnet)
	if err != nil {
		return err
	}
	if o.Nodes < 1 || o.Nodes > maxNodes {
		return fmt.Errorf("cannot make %d nodes: between 1 and %d are possible", o.Nodes, maxNodes)
	}
	if len(o.VMs) > maxGuests {
		return fmt.Errorf("cannot make %d VMs: at most %d are possible", len(o.VMs), maxGuests)
	}
	if o.ImagesBytes < 64<<20 {
		return errors.New("cannot make a disk for images below 64 MiB")
	}
	if _, err := parseRelease(o.Release, o.Nodes); err != nil {
		return err
	}
	_, err = resolveVMs(o.VMs, o.Prefix, plan, o.Nodes)
	return err
}

// checkDir keeps the directory out of places where an overlay of the root
// would hide it, and its name free of what mount options cannot carry.
func checkDir(dir string) error {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || dir == "/" {
		return fmt.Errorf("cannot use the lab directory %q: it must be a clean absolute path", dir)
	}
	for _, c := range dir {
		if c == ',' || c == ':' || c == '\\' || c == '"' || c < ' ' {
			return fmt.Errorf("cannot use the lab directory %q: mount options cannot carry the character %q", dir, c)
		}
	}
	for _, hidden := range []string{"/proc", "/sys", "/dev", "/run", "/tmp/.lab"} {
		if rel, err := filepath.Rel(hidden, dir); err == nil && (rel == "." || rel[0] != '.') {
			return fmt.Errorf("cannot use the lab directory %q: it must be on a disk, not in %s", dir, hidden)
		}
	}
	return nil
}
