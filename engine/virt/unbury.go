package virt

import "regexp"

// buriedSource is what a tombstone adds to the source of a disk.
var buriedSource = regexp.MustCompile(`\.moved-to-[^/'"<>]*-by-[a-z0-9]{6}(['"])`)

// Unbury gives the disks of a tombstone's definition the names back that they
// had before the move. Another definition is left as it is.
func Unbury(xml string) string { return buriedSource.ReplaceAllString(xml, "$1") }
