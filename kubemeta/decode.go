package kubemeta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// PodList is a decoded list of pods.
type PodList struct {
	Pods            []*Pod
	ResourceVersion string
	// Malformed counts items that did not decode whole; what did decode is in
	// Pods if it has a uid.
	Malformed int
}

// DecodePodList reads a v1.PodList in JSON, as the API server and the kubelet
// send it, one pod at a time: no more than one pod's text is held. Unknown
// fields are skipped. Text that is not such a list is an error.
func DecodePodList(r io.Reader) (PodList, error) {
	var list PodList
	dec := json.NewDecoder(r)
	if err := expect(dec, '{'); err != nil {
		return list, err
	}
	hasItems := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return list, malformed("read field name", err)
		}
		switch key {
		case "metadata":
			err = list.decodeMetadata(dec)
		case "items":
			hasItems = true
			err = list.decodeItems(dec)
		default:
			var skipped json.RawMessage
			err = dec.Decode(&skipped)
		}
		if err != nil {
			return list, malformed(fmt.Sprintf("decode %.40q", key), err)
		}
	}
	if err := expect(dec, '}'); err != nil {
		return list, err
	}
	if !hasItems {
		return list, fmt.Errorf("decode pod list: no items: %w", kubeapi.ErrMalformed)
	}
	return list, nil
}

func (l *PodList) decodeMetadata(dec *json.Decoder) error {
	var meta struct {
		ResourceVersion string `json:"resourceVersion"`
	}
	err := dec.Decode(&meta)
	l.ResourceVersion = meta.ResourceVersion
	return err
}

func (l *PodList) decodeItems(dec *json.Decoder) error {
	open, err := dec.Token()
	if err != nil || open == nil { // "items": null is an empty list
		return err
	}
	if open != json.Delim('[') {
		return fmt.Errorf("items is %.40v, not a list: %w", open, kubeapi.ErrMalformed)
	}
	for dec.More() {
		var o podObject
		if err := dec.Decode(&o); isBroken(err) {
			return err
		} else if err != nil {
			l.Malformed++
		}
		if o.Metadata.UID != "" {
			l.Pods = append(l.Pods, o.pod())
		}
	}
	return expect(dec, ']')
}

// isBroken tells errors after which the stream cannot be read on from those of
// one value, such as a field of another type than expected.
func isBroken(err error) bool {
	var syntax *json.SyntaxError
	return errors.As(err, &syntax) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		kubeapi.IsTransport(err)
}

func expect(dec *json.Decoder, delim json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return malformed(fmt.Sprintf("expect %q", delim), err)
	}
	if token != delim {
		return fmt.Errorf("decode pod list: %.40v where %q should be: %w", token, delim, kubeapi.ErrMalformed)
	}
	return nil
}

// malformed marks an error as one of the content, unless reading failed.
func malformed(operation string, err error) error {
	if kubeapi.IsTransport(err) || errors.Is(err, kubeapi.ErrMalformed) {
		return fmt.Errorf("decode pod list: %s: %w", operation, err)
	}
	return fmt.Errorf("decode pod list: %s: %w: %w", operation, kubeapi.ErrMalformed, err)
}
