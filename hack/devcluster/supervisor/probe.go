package supervisor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const probeInterval = 15 * time.Millisecond

// prober asks the components whether they are ready. It speaks plain HTTP: a client library would cost more at the start than
// all the questions together.
type prober struct{ client *http.Client }

func (c *cluster) prober() (*prober, error) {
	ca, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	cert, err := tls.LoadX509KeyPair(c.pki("kubelet-client.crt"), c.pki("kubelet-client.key")) // an admin, for etcd as well
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	return &prober{client: &http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

func (p *prober) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", res.Status, body)
	}
	return body, nil
}

// until polls url until check (nil: any 200 answer) accepts what it returns.
func (p *prober) until(ctx context.Context, what, url string, check func([]byte) error) error {
	for {
		body, err := p.get(ctx, url)
		if err == nil && check != nil {
			err = check(body)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", what, err)
		case <-time.After(probeInterval):
		}
	}
}

// nodeUsable accepts a node that has reported Ready since the given time and that pods may be scheduled on. After a restart
// the API still has what the node said in the run before.
func nodeUsable(since time.Time) func([]byte) error {
	return func(body []byte) error {
		var node struct {
			Spec struct {
				Taints []struct{ Key string } `json:"taints"`
			} `json:"spec"`
			Status struct {
				Conditions []struct {
					Type, Status      string
					LastHeartbeatTime time.Time
				} `json:"conditions"`
			} `json:"status"`
		}
		if err := json.Unmarshal(body, &node); err != nil {
			return err
		}
		for _, taint := range node.Spec.Taints {
			return fmt.Errorf("the node has the taint %s", taint.Key)
		}
		for _, c := range node.Status.Conditions {
			// The API keeps whole seconds.
			if c.Type == "Ready" && c.Status == "True" && !c.LastHeartbeatTime.Before(since.Truncate(time.Second)) {
				return nil
			}
		}
		return errors.New("the node has not reported Ready")
	}
}
