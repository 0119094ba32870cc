package survey

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/plan"
	"horcrux/engine/transport"
)

const (
	// reachPort is the last of the ports that libvirt receives moves at. It takes
	// them from below, so nothing listens here that a stray connection could
	// disturb; a firewall that lets the range through answers for all of it.
	reachPort = "49215"
)

// reach asks the source's sshd, by one of its two ways, to open a connection to the
// target.
func reach(ctx context.Context, by func(context.Context, string) (transport.Reach, string), dst *fleet.Node, port string) plan.ReachFact {
	ctx, cancel := context.WithTimeout(ctx, 2*fleet.ReachWithin)
	defer cancel()
	at := net.JoinHostPort(dst.MigrateAddress(), port)
	switch r, words := by(ctx, at); r {
	case transport.ReachYes:
		return plan.ReachFact{Tried: true, Reached: true, Detail: at + " answers"}
	case transport.ReachRefused:
		// At the port of moves nobody listens; where sshd should be, somebody must.
		return plan.ReachFact{Tried: true, Reached: port == reachPort, Refused: true, Detail: words + " at " + at}
	case transport.ReachNo:
		return plan.ReachFact{Tried: true, Detail: fmt.Sprintf("%s from %s within %s", words, at, fleet.ReachWithin)}
	default:
		return plan.ReachFact{Detail: words}
	}
}

const (
	// listenFor is how long a program listens at reachPort to tell a host on which
	// nobody listened from a firewall that answers in its name.
	listenFor = 2 * time.Second
	reachPoll = 100 * time.Millisecond
)

// heard makes sure of a refusal: a program listens on the target for a moment
// and takes one connection, with which nothing is done. What cannot be found out
// that way stays as it was.
func heard(ctx context.Context, src, dst *fleet.Node, was plan.ReachFact) plan.ReachFact {
	ctx, cancel := context.WithTimeout(ctx, listenFor+fleet.ReachWithin)
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		res, err := dst.Exec(ctx, []string{"timeout", strconv.Itoa(int(listenFor.Seconds())), "systemd-socket-activate", "-l", reachPort, "true"}, nil)
		if err != nil {
			res.Code = -1
		}
		ended <- res.Code
	}()
	at := net.JoinHostPort(dst.MigrateAddress(), reachPort)
	tick := time.NewTicker(reachPoll)
	defer tick.Stop()
	for {
		switch r, _ := src.Reaches(ctx, at); r {
		case transport.ReachYes:
			return plan.ReachFact{Tried: true, Reached: true, Detail: at + " answers"}
		case transport.ReachRefused:
		default:
			return was
		}
		select {
		case code := <-ended:
			if code != fleet.TimedOut {
				return was
			}
			return plan.ReachFact{Tried: true, Refused: true, Detail: fmt.Sprintf("connections are refused at %s even while a program listens there: a firewall", at)}
		case <-tick.C:
		}
	}
}

// forwardScript prints what sshd has in force for the user and the address of
// this login, and whether nothing is there that could do it in its stead. It
// changes nothing and takes no data but the user's name.
const forwardScript = `set -- "$1" "${SSH_CONNECTION%% *}"
` + joins + ` || echo nocommands yes
d=$(command -v sshd || echo /usr/sbin/sshd)
"$d" -T -C "user=$1,host=$2,addr=$2" 2>/dev/null | grep -Ei '^(allowtcpforwarding|allowstreamlocalforwarding|disableforwarding) '`

// forward asks what a node's sshd allows; what cannot be found out is tried when
// it is needed.
func forward(ctx context.Context, n *fleet.Node) plan.ForwardFact {
	ctx, cancel := context.WithTimeout(ctx, fleet.ReachWithin)
	defer cancel()
	res, err := n.Exec(ctx, []string{"sh", "-c", forwardScript, "horcrux", n.User()}, nil)
	if err != nil {
		return plan.ForwardFact{}
	}
	return readForward(string(res.Stdout))
}

func readForward(text string) plan.ForwardFact {
	var f plan.ForwardFact
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(line)), " ")
		switch value {
		case "yes", "no", "all", "local", "remote":
		default:
			continue // nothing else is taken from a host
		}
		switch key {
		case "allowtcpforwarding":
			f.TCP = value
		case "allowstreamlocalforwarding":
			f.Stream = value
		case "disableforwarding":
			f.Disabled = value == "yes"
		case "nocommands":
			f.NoCommands = value == "yes"
		}
	}
	return f
}

// joins tells whether a node has what joins a socket with a login.
const joins = `{ perl -MSocket -e 1 2>/dev/null || command -v python3 >/dev/null || [ -x /usr/libexec/platform-python ]; }`

// Scripts that print what a node lacks to be the source or the target of SSH
// from node to node, or to have a VM with an emulated TPM. They change nothing and take no data.
const (
	lacksScript = `for t in ssh systemd-socket-activate flock; do command -v "$t" >/dev/null || echo "$t"; done`
	tpmScript   = `for t in swtpm swtpm_setup swtpm_ioctl; do command -v "$t" >/dev/null || echo "$t"; done`
	joinsScript = `command -v flock >/dev/null || echo flock
` + joins + ` || echo "perl or python3"
a=${SSH_CONNECTION%% *}
d=$(command -v sshd || echo /usr/sbin/sshd)
"$d" -T -C "user=root,host=$a,addr=$a" 2>/dev/null | grep -qxiE 'pubkeyauthentication no|authorizedkeysfile none' && echo "logins by key"
exit 0`
)

// lacks asks a node for what is missing; what cannot be found out is tried.
func lacks(ctx context.Context, n *fleet.Node, script string) []string {
	ctx, cancel := context.WithTimeout(ctx, fleet.ReachWithin)
	defer cancel()
	res, err := n.Exec(ctx, []string{"sh", "-c", script, "horcrux"}, nil)
	if err != nil {
		return nil
	}
	return readLacks(string(res.Stdout))
}

func readLacks(text string) (out []string) {
	for line := range strings.Lines(text) {
		switch s := strings.TrimSpace(line); s {
		case "ssh", "systemd-socket-activate", "flock", "perl or python3", "logins by key", "swtpm", "swtpm_setup", "swtpm_ioctl":
			out = append(out, s)
		}
	}
	return out
}

// maySSH tells that a move's data may go from node to node by SSH.
func maySSH(r model.Request) bool {
	return r.Options.Path != model.PathRelay && r.Options.Path != model.PathDirect
}

// mayRelay tells that a move's data may have to go through this machine.
func mayRelay(r model.Request, reach plan.ReachFact) bool {
	switch r.Options.Path {
	case model.PathRelay:
		return true
	case model.PathDirect, model.PathSSH:
		return false
	}
	return reach.Tried && !reach.Reached
}
