package jaeger

import (
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fate is what an answer means for the spans of its request.
type fate int

const (
	taken    fate = iota
	again         // the same request may succeed later
	refused       // the same request will always fail: some span in it, or all
	tooLarge      // the request is over the server's limit, smaller ones may not be
)

// fateOf follows the OTLP specification's list of retryable codes
// (https://opentelemetry.io/docs/specs/otlp/#failures) where data can be at
// fault, and keeps the data where only the set-up can be: credentials, tenants
// and wrong ports get fixed. Unknown is retried because Jaeger's api_v2 answers
// it for every failure of its own, a refusing memory limiter included.
func fateOf(err error) fate {
	st := status.Convert(err)
	switch st.Code() {
	case codes.OK:
		return taken
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition:
		return refused
	case codes.Internal:
		// The collector's OTLP receiver (Jaeger v2) says so for permanent errors;
		// gRPC's transport uses the code for streams cut by proxies as well.
		if strings.HasPrefix(st.Message(), "stream terminated by RST_STREAM") {
			return again
		}
		return refused
	case codes.ResourceExhausted:
		// A busy server or gRPC's limit of a message: only the text tells.
		if strings.Contains(st.Message(), "larger than max") {
			return tooLarge
		}
		return again
	default:
		return again
	}
}

// retryDelay is how long the server asks to wait; 0 when it does not say.
func retryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// advice is what to do about errors that do not go away by waiting.
func advice(err error) string {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied:
		return "Jaeger does not accept the credentials: check tls, headers and auth; the spans are kept and tried again"
	case codes.Unimplemented:
		return "this port does not speak the protocol: otlp is usually at 4317, api_v2 at 14250; the spans are kept and tried again"
	default:
		return "the spans are kept and tried again"
	}
}
