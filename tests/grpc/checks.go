package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

var cases = map[string]func(context.Context, *grpc.ClientConn) error{
	// gRPC's own, which end the process when they fail
	"empty_unary":                 own(interop.DoEmptyUnaryCall),
	"large_unary":                 own(interop.DoLargeUnaryCall),
	"client_streaming":            own(interop.DoClientStreaming),
	"server_streaming":            own(interop.DoServerStreaming),
	"ping_pong":                   own(interop.DoPingPong),
	"empty_stream":                own(interop.DoEmptyStream),
	"timeout_on_sleeping_server":  own(interop.DoTimeoutOnSleepingServer),
	"cancel_after_begin":          own(interop.DoCancelAfterBegin),
	"cancel_after_first_response": own(interop.DoCancelAfterFirstResponse),
	"custom_metadata":             own(interop.DoCustomMetadata),
	"status_code_and_message":     own(interop.DoStatusCodeAndMessage),
	"special_status_message":      own(interop.DoSpecialStatusMessage),
	"unimplemented_service":       unimplementedService,
	"unimplemented_method":        unimplementedMethod,

	"messages_of_4_mib": fourMiB,
	"compression":       compression,
	"deadline":          deadline,
	"many_fields":       manyFields,
	"health":            healthOnce,
	"health_watch":      healthWatch,
	"reflection":        reflect,
	"many_at_once":      manyAtOnce,
}

func own(do func(context.Context, testpb.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, conn *grpc.ClientConn) error {
		do(ctx, testpb.NewTestServiceClient(conn))
		return nil
	}
}

func unimplementedService(ctx context.Context, conn *grpc.ClientConn) error {
	interop.DoUnimplementedService(ctx, testpb.NewUnimplementedServiceClient(conn))
	return nil
}

func unimplementedMethod(ctx context.Context, conn *grpc.ClientConn) error {
	interop.DoUnimplementedMethod(ctx, conn)
	return nil
}

func request(n int) *testpb.SimpleRequest {
	return &testpb.SimpleRequest{ResponseType: testpb.PayloadType_COMPRESSABLE, ResponseSize: int32(n),
		Payload: &testpb.Payload{Body: bytes.Repeat([]byte("kube"), n/4)}}
}

func unary(ctx context.Context, conn *grpc.ClientConn, n int, options ...grpc.CallOption) error {
	answer, err := testpb.NewTestServiceClient(conn).UnaryCall(ctx, request(n), options...)
	if err != nil {
		return err
	}
	if got := len(answer.GetPayload().GetBody()); got != n {
		return fmt.Errorf("%d bytes came, not %d", got, n)
	}
	return nil
}

func fourMiB(ctx context.Context, conn *grpc.ClientConn) error {
	return unary(ctx, conn, 4<<20)
}

// The message that the server gets is small; its answer is not, since it is not asked to compress.
func compression(ctx context.Context, conn *grpc.ClientConn) error {
	return unary(ctx, conn, 1<<20, grpc.UseCompressor(gzip.Name))
}

func deadline(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	stream, err := testpb.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("not DEADLINE_EXCEEDED: %v", err)
	}
	if took := time.Since(began); took < 250*time.Millisecond || took > 10*time.Second {
		return fmt.Errorf("after %v", took)
	}
	return nil
}

// 60 fields, and one of bytes.
func manyFields(ctx context.Context, conn *grpc.ClientConn) error {
	fields := metadata.MD{}
	for n := range 60 {
		fields.Set(fmt.Sprintf("field-%d", n), fmt.Sprintf("value %d", n))
	}
	binary := string([]byte{0, 1, 2, 127, 128, 255})
	fields.Set("x-grpc-test-echo-trailing-bin", binary)
	fields.Set("x-grpc-test-echo-initial", "ünicode is %-encoded by nobody"[3:])
	var header, trailer metadata.MD
	ctx = metadata.NewOutgoingContext(ctx, fields)
	if err := unary(ctx, conn, 100, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
		return err
	}
	if got := trailer.Get("x-grpc-test-echo-trailing-bin"); len(got) != 1 || got[0] != binary {
		return fmt.Errorf("the trailer has %q", got)
	}
	if len(header.Get("pod")) != 1 || len(header.Get("x-grpc-test-echo-initial")) != 1 {
		return fmt.Errorf("the header has %v", header)
	}
	return nil
}

func healthOnce(ctx context.Context, conn *grpc.ClientConn) error {
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err == nil && answer.Status != healthpb.HealthCheckResponse_SERVING {
		err = fmt.Errorf("it is %v", answer.Status)
	}
	return err
}

// The first answer of the stream comes at once, then none until it is cancelled.
func healthWatch(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	answer, err := stream.Recv()
	if err != nil || answer.Status != healthpb.HealthCheckResponse_SERVING {
		return fmt.Errorf("it is %v: %v", answer.GetStatus(), err)
	}
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err = stream.Recv(); status.Code(err) != codes.Canceled {
		return fmt.Errorf("not CANCELLED: %v", err)
	}
	return nil
}

func reflect(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	ask := &reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(ask); err != nil {
		return err
	}
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	for _, service := range answer.GetListServicesResponse().GetService() {
		if service.Name == "grpc.testing.TestService" {
			stream.CloseSend()
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				return fmt.Errorf("not the end: %v", err)
			}
			return nil
		}
	}
	return fmt.Errorf("the service is not in %v", answer)
}

func manyAtOnce(ctx context.Context, conn *grpc.ClientConn) error {
	results := make(chan error)
	for n := range 500 {
		go func() { results <- unary(ctx, conn, n*40) }()
	}
	var failed error
	for range 500 {
		failed = errors.Join(failed, <-results)
	}
	return failed
}
