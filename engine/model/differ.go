package model

import "errors"

// ErrDiffer says that two disks were read and are not equal.
var ErrDiffer = errors.New("the disks are not equal")
