package ends

import (
	"context"
)

// Patient is an End as the health checks see it.
type Patient struct{ *End }

// XML is that of the running domain.
func (p Patient) XML(ctx context.Context) (string, error) { return p.ActiveXML(ctx) }
