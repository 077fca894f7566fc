package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/dapr/go-sdk/service/common"
	service "github.com/dapr/go-sdk/service/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// serve is the app side of the SDK, and a plain gRPC service beside it on the same port.
// What both have to do is in tests/sdk/README.md.
func serve() error {
	port := env("APP_PORT", "8003")
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	plain := grpc.NewServer()
	plain.RegisterService(&echoService, nil)
	app := service.NewServiceWithGrpcServer(listener, plain)
	well := func(context.Context) error { return nil }
	if err := errors.Join(
		app.AddHealthCheckHandler("", well),
		app.AddServiceInvocationHandler("neworder", neworder),
		app.AddServiceInvocationHandler("about", about),
		app.AddServiceInvocationHandler("fail", fail),
	); err != nil {
		return err
	}
	fmt.Println("serves on port", port)
	return app.Start()
}

func neworder(_ context.Context, in *common.InvocationEvent) (*common.Content, error) {
	return &common.Content{Data: in.Data, ContentType: in.ContentType}, nil
}

func about(ctx context.Context, in *common.InvocationEvent) (*common.Content, error) {
	told, _ := metadata.FromIncomingContext(ctx)
	seen, err := json.Marshal(map[string]any{
		"verb":        in.Verb,
		"query":       in.QueryString,
		"contentType": in.ContentType,
		"colour":      first(told, "x-colour"),
		"caller":      first(told, "dapr-caller-app-id"),
		"served":      true,
	})
	if err != nil {
		return nil, err
	}
	err = grpc.SetHeader(ctx, metadata.Pairs("x-served", "yes"))
	return &common.Content{Data: seen, ContentType: "application/json"}, err
}

func fail(context.Context, *common.InvocationEvent) (*common.Content, error) {
	return nil, status.Error(codes.NotFound, "no such order")
}

// Without generated code each method is a stream for the library.
var echoService = grpc.ServiceDesc{
	ServiceName: "sdk.Echo",
	Streams: []grpc.StreamDesc{
		{StreamName: "Unary", Handler: headed(echoUnary)},
		{StreamName: "Server", Handler: headed(echoServer), ServerStreams: true},
		{StreamName: "Client", Handler: headed(echoClient), ClientStreams: true},
		{StreamName: "Bidi", Handler: headed(echoBidi), ServerStreams: true, ClientStreams: true},
	},
}

// headed is a method that first sends what the call brought.
func headed(method func(grpc.ServerStream) error) grpc.StreamHandler {
	return func(_ any, call grpc.ServerStream) error {
		told, _ := metadata.FromIncomingContext(call.Context())
		call.SetTrailer(metadata.Pairs("x-end", "done"))
		if err := call.SendHeader(metadata.Pairs(
			"x-seen", first(told, "x-colour"), "x-seen-bin", first(told, "x-colour-bin"))); err != nil {
			return err
		}
		return method(call)
	}
}

func echoUnary(call grpc.ServerStream) error {
	text, err := next(call)
	if err != nil {
		return err
	}
	if text == "wait" {
		<-call.Context().Done()
		return call.Context().Err()
	}
	return answer(call, text)
}

func echoServer(call grpc.ServerStream) error {
	text, err := next(call)
	for number := 1; err == nil && number <= 3; number++ {
		err = answer(call, fmt.Sprintf("%s %d", text, number))
	}
	return err
}

func echoClient(call grpc.ServerStream) error {
	var texts []string
	text, err := next(call)
	for ; err == nil; text, err = next(call) {
		texts = append(texts, text)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return answer(call, strings.Join(texts, ","))
}

func echoBidi(call grpc.ServerStream) error {
	text, err := next(call)
	for ; err == nil; text, err = next(call) {
		if err := answer(call, text); err != nil {
			return err
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func next(call grpc.ServerStream) (string, error) {
	message := new(wrapperspb.StringValue)
	err := call.RecvMsg(message)
	return message.GetValue(), err
}

func answer(call grpc.ServerStream, text string) error {
	if text == "fail" {
		return status.Error(codes.FailedPrecondition, "told to fail")
	}
	return call.SendMsg(wrapperspb.String(text))
}
