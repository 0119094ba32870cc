package model

import "fmt"

// DiesOfResume tells of a libvirt version whether the daemon on a target dies of a
// prepare for a post-copy that broke off: 11.3 does each time, as it reads a
// descriptor that only a new move has. 12.8 does not; what is between was not seen.
func DiesOfResume(libvirt string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(libvirt, "%d.%d.", &major, &minor); err != nil {
		return false
	}
	v := major*1000 + minor
	return v >= 11_003 && v < 12_008
}
