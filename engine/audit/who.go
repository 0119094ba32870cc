package audit

import (
	"fmt"
	"os"
	"os/user"
	"strings"
)

// Actor is who did something.
type Actor struct {
	User     string `json:"user"`                // of this process
	SudoUser string `json:"sudo_user,omitempty"` // who became that user by sudo
	SSH      string `json:"ssh,omitempty"`       // SSH_CONNECTION: from where, to where
}

// Who finds out who acts, from the process and its environment.
func Who(env func(string) string) Actor {
	a := Actor{User: "uid " + fmt.Sprint(os.Getuid()), SudoUser: env("SUDO_USER"), SSH: env("SSH_CONNECTION")}
	if u, err := user.Current(); err == nil {
		a.User = u.Username
	}
	return a
}

// String reads "ada (sudo root) from 192.0.2.7".
func (a Actor) String() string {
	s := a.User
	if a.SudoUser != "" {
		s = a.SudoUser + " (sudo " + s + ")"
	}
	if from, _, _ := strings.Cut(a.SSH, " "); from != "" {
		s += " from " + from
	}
	return s
}
