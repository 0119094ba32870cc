package model

// Rights are who may do what with a file, in the numbers of the host that was
// asked.
type Rights struct {
	Path string `json:"path"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	Mode string `json:"mode"` // octal, as chmod takes it
}
