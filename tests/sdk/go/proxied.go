package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const pings = 20

// echo is a stub of sdk.Echo by hand: the messages are a type that each protobuf library brings along.
type echo struct {
	conn *grpc.ClientConn
	app  string
}

// callEcho calls sdk.Echo with plain gRPC: the sidecar passes the calls on to the app.
func callEcho(ctx context.Context, app string) {
	address := "127.0.0.1:" + env("DAPR_GRPC_PORT", "50001")
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must("a connection", err)
	defer conn.Close()
	it := echo{conn, app}
	it.one(ctx)
	it.failures(ctx)
	it.streams(ctx)
	it.bidi(ctx)
}

func (e echo) to(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(
		ctx, "dapr-app-id", e.app, "x-colour", "green", "x-colour-bin", "\x00\xff")
}

func (e echo) unary(ctx context.Context, text string, options ...grpc.CallOption) (string, error) {
	answer := new(wrapperspb.StringValue)
	err := e.conn.Invoke(e.to(ctx), "/sdk.Echo/Unary", wrapperspb.String(text), answer, options...)
	return answer.GetValue(), err
}

// stream opens a call of a method, be its streams as they may.
func (e echo) stream(ctx context.Context, method string) grpc.ClientStream {
	kind := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := e.conn.NewStream(e.to(ctx), kind, "/sdk.Echo/"+method)
	if err != nil {
		must("open "+method, err)
	}
	return stream
}

func (e echo) one(ctx context.Context) {
	var head, end metadata.MD
	answer, err := e.unary(ctx, "hi", grpc.Header(&head), grpc.Trailer(&end))
	must("proxied unary", err)
	check("its answer", answer, "hi")
	check("its head", first(head, "x-seen")+first(head, "x-seen-bin"), "green\x00\xff")
	check("its trailers", first(end, "x-end"), "done")
	big := strings.Repeat("x", 1<<20)
	answer, err = e.unary(ctx, big)
	must("a mebibyte", err)
	check("all of it", answer == big, true)
}

func (e echo) failures(ctx context.Context) {
	var end metadata.MD
	_, err := e.unary(ctx, "fail", grpc.Trailer(&end))
	check("the app's status", status.Code(err), codes.FailedPrecondition)
	check("its text", status.Convert(err).Message(), "told to fail")
	check("its trailers", first(end, "x-end"), "done")
	soon, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_, err = e.unary(soon, "wait")
	check("a deadline", status.Code(err), codes.DeadlineExceeded)
	_, err = echo{e.conn, "nobody-knows-it"}.unary(ctx, "hi")
	check("an unknown app", status.Code(err), codes.Unknown)
}

func (e echo) streams(ctx context.Context) {
	call := e.stream(ctx, "Server")
	send(call, "a")
	must("its end", call.CloseSend())
	check("proxied server stream", strings.Join(all(call), ","), "a 1,a 2,a 3")
	call = e.stream(ctx, "Client")
	for _, text := range []string{"a", "b", "c"} {
		send(call, text)
	}
	must("its end", call.CloseSend())
	check("proxied client stream", strings.Join(all(call), " "), "a,b,c")
}

func (e echo) bidi(ctx context.Context) {
	call := e.stream(ctx, "Bidi")
	for number := range pings {
		send(call, fmt.Sprint(number))
		if text, err := receive(call); err != nil || text != fmt.Sprint(number) {
			must("proxied bidi stream", fmt.Errorf("%d: %q, %w", number, text, err))
		}
	}
	must("its end", call.CloseSend())
	check("proxied bidi stream", len(all(call)), 0)
	check("its trailers", first(call.Trailer(), "x-end"), "done")
	call = e.stream(ctx, "Bidi")
	send(call, "a")
	text, err := receive(call)
	must("before a failure", err)
	check("its answer", text, "a")
	send(call, "fail")
	_, err = receive(call)
	check("a failure in a stream", status.Code(err), codes.FailedPrecondition)
	ending, cancel := context.WithCancel(ctx)
	call = e.stream(ending, "Bidi")
	send(call, "a")
	_, err = receive(call)
	must("before the end by the caller", err)
	cancel()
	_, err = receive(call)
	check("the end by the caller", status.Code(err), codes.Canceled)
}

func send(call grpc.ClientStream, text string) {
	if err := call.SendMsg(wrapperspb.String(text)); err != nil {
		must("send "+text, err)
	}
}

func receive(call grpc.ClientStream) (string, error) {
	message := new(wrapperspb.StringValue)
	err := call.RecvMsg(message)
	return message.GetValue(), err
}

// all reads to an end that is good.
func all(call grpc.ClientStream) (texts []string) {
	for {
		text, err := receive(call)
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			must("receive", err)
		}
		texts = append(texts, text)
	}
}

func first(it metadata.MD, key string) string {
	if found := it.Get(key); len(found) > 0 {
		return found[0]
	}
	return ""
}
