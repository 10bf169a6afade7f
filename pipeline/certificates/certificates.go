// Package certificates is the extension "certificates": it tells when the
// certificates in files end, so that an alert comes before connections fail.
//
//	extensions:
//	  certificates:
//	    files:
//	      client: /etc/crowsnest/tls/tls.crt
//
// Each file is PEM (RFC 7468) whose first certificate counts, as TLS presents
// it. It is read anew whenever metrics are collected, since it may be renewed in
// place. A file that cannot be read has no value and is logged once an hour.
package certificates

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/crowsnest-o11y/crowsnest/complaint"
)

// Config is what users write.
type Config struct {
	// Files are paths by what the certificate is used for, the label "usage".
	Files map[string]string `mapstructure:"files"`
}

// NewFactory makes the factory of the extension "certificates".
func NewFactory() extension.Factory {
	return extension.NewFactory(component.MustNewType("certificates"),
		func() component.Config { return &Config{} },
		func(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
			return &watch{cfg: cfg.(*Config), set: set, complaints: complaint.New(set.Logger, time.Hour)}, nil
		}, component.StabilityLevelAlpha)
}

// watch reads the files when the gauge is collected.
type watch struct {
	cfg          *Config
	set          extension.Settings
	complaints   *complaint.Log
	registration metric.Registration
}

// Start registers the gauge crowsnest_certificate_expiry_timestamp_seconds.
func (w *watch) Start(context.Context, component.Host) error {
	meter := w.set.MeterProvider.Meter("github.com/crowsnest-o11y/crowsnest/pipeline/certificates")
	gauge, err := meter.Float64ObservableGauge("crowsnest_certificate_expiry_timestamp",
		metric.WithDescription("When the certificate ends, in seconds since 1970."), metric.WithUnit("s"))
	if err != nil {
		return fmt.Errorf("make gauge of certificates: %w", err)
	}
	w.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for usage, path := range w.cfg.Files {
			end, err := readEnd(path)
			if err != nil {
				w.complaints.Warn(path, "cannot tell when a certificate ends: no alert will come before it does", zap.String("file", path), zap.Error(err))
				continue
			}
			w.complaints.Over(path, "can tell again when a certificate ends", zap.String("file", path))
			o.ObserveFloat64(gauge, float64(end.Unix()), metric.WithAttributes(attribute.String("usage", usage)))
		}
		return nil
	}, gauge)
	return err
}

// Shutdown ends the gauge; it is safe without Start.
func (w *watch) Shutdown(context.Context) error {
	if w.registration == nil {
		return nil
	}
	return w.registration.Unregister()
}

// maxFileBytes is far above any chain of certificates.
const maxFileBytes = 1 << 20

// readEnd returns the end of the first certificate in a file.
func readEnd(path string) (time.Time, error) {
	f, err := os.Open(path)
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes))
	if err != nil {
		return time.Time{}, fmt.Errorf("read certificate: %w", err)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return time.Time{}, errors.New("read certificate: no PEM block of type CERTIFICATE")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return time.Time{}, fmt.Errorf("parse certificate: %w", err)
		}
		return certificate.NotAfter, nil
	}
}
