package kubestate

import (
	"encoding/json"
	"fmt"

	"github.com/crowsnest-o11y/crowsnest/kubeapi"
)

// decoderOf gives the usual way to read a T.
func decoderOf[T any](e kubeapi.Encoding) func([]byte, *T) error {
	if e == kubeapi.AsProtobuf || e == kubeapi.AsMetadata {
		return func(data []byte, o *T) error {
			m, ok := any(o).(interface{ Unmarshal([]byte) error })
			if !ok {
				return fmt.Errorf("%T is not known to protobuf", o)
			}
			return m.Unmarshal(data)
		}
	}
	return func(data []byte, o *T) error { return json.Unmarshal(data, o) }
}
