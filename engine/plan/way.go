package plan

import (
	"fmt"
	"strings"
	"time"

	"horcrux/engine/model"
)

// ReachFact is whether the source gets through to the address and ports that
// the target takes the data of a move at.
type ReachFact struct {
	// Tried tells that there was an answer that says something; Reached what.
	Tried, Reached bool
	// Refused tells that the answer was a refusal, which a firewall may have given.
	Refused bool
	Detail  string
}

// ForwardFact is what sshd on a node allows. Empty words are not known.
type ForwardFact struct {
	// TCP and Stream are AllowTcpForwarding and AllowStreamLocalForwarding.
	TCP, Stream string
	// Disabled is DisableForwarding.
	Disabled bool
	// NoCommands: there is nothing that could carry connections in its stead.
	NoCommands bool
}

// forbids tells why sshd would not forward in a direction, "local" towards the
// node's sockets, "remote" from them; empty if nothing is known against it.
func (f ForwardFact) forbids(direction string) string {
	if f.Disabled {
		return "DisableForwarding yes"
	}
	for _, o := range [][2]string{{"AllowStreamLocalForwarding", f.Stream}, {"AllowTcpForwarding", f.TCP}} {
		switch o[1] {
		case "", "yes", "all", direction:
		default:
			return o[0] + " " + o[1]
		}
	}
	return ""
}

// chooseWay picks how memory and disks travel, and says why. What cannot work is
// for the rules to say. Left to us it is a way that nobody in between can read,
// and of those the one with the least in between.
func chooseWay(f *facts, now time.Time) (model.DataPath, string) {
	if !MovesMemory(f.r) && len(f.files) == 0 {
		return "", ""
	}
	switch f.r.Options.Path {
	case model.PathRelay, model.PathDirect, model.PathSSH:
		return f.r.Options.Path, "as asked for"
	}
	r := f.dst.Reach
	reach := fmt.Sprintf("whether %s reaches %s was not tried", f.src.Name, f.dst.Name)
	switch {
	case r.Tried && !r.Reached:
		reach = fmt.Sprintf("%s does not reach %s: %s", f.src.Name, f.dst.Name, r.Detail)
	case r.Tried:
		reach = fmt.Sprintf("%s reaches %s", f.src.Name, f.dst.Name)
	case r.Detail != "":
		reach = fmt.Sprintf("whether %s reaches %s is not known: %s", f.src.Name, f.dst.Name, r.Detail)
	}
	cut := r.Tried && !r.Reached
	tls := tlsDirect(f, now)
	if !cut && tls == "" {
		return model.PathDirect, reach + ", and QEMU encrypts"
	}
	not := notBySSH(f)
	switch {
	case not == "" && cut:
		return model.PathSSH, reach
	case not == "":
		return model.PathSSH, fmt.Sprintf("it is encrypted, and %s would not be: %s", model.PathDirect, tls)
	case cut:
		return model.PathRelay, reach + "; not by SSH from node to node: " + not
	}
	return model.PathDirect, reach + "; not by SSH: " + not
}

// tlsDirect tells why not all data that go directly would be encrypted.
func tlsDirect(f *facts, now time.Time) string {
	if len(f.files) > 0 {
		return "files go over TCP as they are"
	}
	direct := *f
	direct.way = model.PathDirect
	if _, _, why := secure(&direct, now); why != nil {
		return why.Error()
	}
	return ""
}

// notBySSH tells why a move that leaves its way to us does not go by SSH from
// node to node.
func notBySSH(f *facts) string {
	o := f.r.Options
	parallel := *f
	parallel.way = model.PathSSH
	switch why, _ := againstSSH(f); {
	case why != "":
		return why
	case !f.dst.ReachSSH.Tried && f.dst.ReachSSH.Detail != "":
		return fmt.Sprintf("whether %s reaches sshd of %s is not known: %s", f.src.Name, f.dst.Name, f.dst.ReachSSH.Detail)
	case !f.dst.ReachSSH.Tried:
		return fmt.Sprintf("whether %s reaches sshd of %s was not tried", f.src.Name, f.dst.Name)
	case MovesMemory(f.r) && o.TLS == model.TLSRequire:
		return "TLS of QEMU is required"
	case o.TLS == model.TLSOff && (!f.dst.Reach.Tried || f.dst.Reach.Reached):
		return "encryption is switched off"
	case MovesMemory(f.r):
		for _, found := range parallelRule(&parallel) {
			if found.Verdict == model.Fail {
				return found.Detail
			}
		}
	}
	return ""
}

// dataPathRule says which way the data take, why, and what stands against it.
func dataPathRule(f *facts) []model.Finding {
	const id, title = "data-path", "way of the data"
	switch f.way {
	case "":
		return nil
	case model.PathSSH:
		return one(sshRule(f, id, title))
	case model.PathDirect:
		if r := f.dst.Reach; r.Tried && !r.Reached {
			return one(notReached(f, id, title))
		}
		return one(pass(id, title, "from %s to %s over TCP; %s", f.src.Name, f.dst.Name, f.wayWhy))
	}
	through := "the data would go through this machine: " + f.wayWhy // after the reason, which is what a narrow screen shows
	notes := ""
	for _, side := range []struct {
		host      HostFacts
		direction string
	}{{f.src, "remote"}, {f.dst, "local"}} {
		h := side.host
		why := h.Forward.forbids(side.direction)
		if h.User != "" && h.User != "root" {
			return one(fail(id, title, fmt.Sprintf("it needs a login as root: sockets that user %s makes on %s are not QEMU's to use; %s", h.User, h.Name, through),
				fmt.Sprintf("log in to %s as root, or open the ports 49152 to 49215 between the nodes and use --path direct", h.Name)))
		}
		switch {
		case why == "":
		case h.Forward.NoCommands:
			return one(fail(id, title, fmt.Sprintf("sshd on %s has %s and does not carry connections of sockets, and neither perl nor python3 is there to do it; %s", h.Name, why, through),
				fmt.Sprintf("install perl or python3 on %s, or set AllowStreamLocalForwarding and AllowTcpForwarding to yes, at least for Match User root, in its sshd_config", h.Name)))
		default:
			notes += fmt.Sprintf("; sshd on %s has %s, so commands there carry them", h.Name, why)
		}
	}
	if f.r.Options.Policy == model.PolicyPostCopy && f.r.Mode == model.ModeLive && f.vm.Status.State != model.StatePaused {
		return one(fail(id, title, "post-copy must not depend on this machine: should it lose a node, a guest would stand still in between two; "+through,
			"--policy suspend or abort; or --path direct"))
	}
	return one(pass(id, title, "from %s through this machine to %s; %s%s", f.src.Name, f.dst.Name, f.wayWhy, notes))
}

func notReached(f *facts, id, title string) model.Finding {
	return fail(id, title, fmt.Sprintf("%s does not reach %s at %s: %s", f.src.Name, f.dst.Name, f.dst.MigrateAddr, f.dst.Reach.Detail),
		"--path relay sends the data through this machine's SSH connections; or open the ports 49152 to 49215 between the nodes")
}

// sshRule says what stands against SSH from node to node.
func sshRule(f *facts, id, title string) model.Finding {
	way := fmt.Sprintf("by SSH from %s to %s", f.src.Name, f.dst.Name)
	if why, remedy := againstSSH(f); why != "" {
		return fail(id, title, fmt.Sprintf("%s (%s): %s", way, f.wayWhy, why), remedy)
	}
	return pass(id, title, "%s, with a key that lives as long as the move; %s", way, f.wayWhy)
}

// againstSSH tells why data cannot go by SSH from node to node, and what would
// mend it; empty if nothing is known against it.
func againstSSH(f *facts) (why, remedy string) {
	for _, h := range []HostFacts{f.src, f.dst} {
		if h.User != "" && h.User != "root" {
			return fmt.Sprintf("it needs a login as root on both: sockets that user %s makes on %s are not QEMU's to use", h.User, h.Name),
				fmt.Sprintf("log in to %s as root, or use --path direct", h.Name)
		}
		if len(h.Lacks) > 0 {
			return fmt.Sprintf("it needs on %s what is not there: %s", h.Name, strings.Join(h.Lacks, ", ")),
				fmt.Sprintf("see to it on %s, or use --path relay or direct", h.Name)
		}
	}
	if f.dst.MigrateAddr == "" {
		return fmt.Sprintf("it needs an address of %s, and none is known", f.dst.Name), fmt.Sprintf("set migrate_address of %s in the configuration", f.dst.Name)
	}
	if r := f.dst.ReachSSH; r.Tried && !r.Reached {
		return fmt.Sprintf("%s does not reach sshd of %s at %s: %s", f.src.Name, f.dst.Name, f.dst.MigrateAddr, r.Detail),
			"--path relay sends the data through this machine's SSH connections; or let the nodes reach each other's SSH port"
	}
	if f.r.Options.Policy == model.PolicyPostCopy && f.r.Mode == model.ModeLive && f.vm.Status.State != model.StatePaused {
		return "it ends with the job that made its key, and post-copy must not depend on that: a guest would stand still in between two",
			"--policy suspend or abort; or --path direct"
	}
	return "", ""
}
