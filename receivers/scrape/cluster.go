package scrape

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// cluster reads objects from the API server.
//
// It does not use kubeapi.Reader, which lists after each failure: of thousands of
// agents each goes on watching where it can.
type cluster struct {
	config *rest.Config
	client *http.Client
	base   *url.URL
	logger *zap.Logger
}

func newCluster(config *rest.Config, logger *zap.Logger) (*cluster, error) {
	client, base, err := kubeapi.Connect(config)
	if err != nil {
		return nil, err
	}
	return &cluster{config: config, client: client, base: base, logger: logger}, nil
}

func (c *cluster) close() { c.client.CloseIdleConnections() }

// answerTimeout bounds the wait for an answer to begin, an object and a page.
const answerTimeout = 30 * time.Second

// open asks for a path. The caller closes the body.
func (c *cluster) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	answer, err := kubeapi.Get(ctx, c.client, u.String(), "application/json")
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// get reads one object.
func (c *cluster) get(ctx context.Context, path string, query url.Values, to any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body, err := c.open(ctx, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, kubeapi.MaxObjectBytes)).Decode(to); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}
