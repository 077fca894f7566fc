// What the public Go SDK does through our sidecar. Exits with 0 if all of it went well.
//
// The caller of this program sets DAPR_GRPC_PORT, and runs the apps to call, see tests/sdk/README.md:
// SDK_ECHO_ID is one that speaks HTTP, SDK_SERVED_ID one with an SDK's app side, SDK_PROXIED_ID one with
// the service sdk.Echo; our id is in SDK_APP_ID. A state store called "statestore" is loaded.
// With the argument "served" the program is an app to call instead.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"
	"strings"
	"time"

	dapr "github.com/dapr/go-sdk/client"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const store = "statestore"

func main() {
	log.SetFlags(0)
	if len(os.Args) > 1 && os.Args[1] == "served" {
		log.Fatal(serve())
	}
	client, err := dapr.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must("wait for the sidecar", client.Wait(ctx, 20*time.Second))
	invoke(ctx, client)
	http(ctx, client)
	sidecarMetadata(ctx, client)
	state(ctx, client)
	transaction(ctx, client)
	if app := os.Getenv("SDK_SERVED_ID"); app != "" {
		served(ctx, client, app)
	}
	if app := os.Getenv("SDK_PROXIED_ID"); app != "" {
		callEcho(ctx, app)
	}
	if os.Getenv("SDK_SHUTDOWN") != "" {
		must("shutdown", client.Shutdown(ctx))
	}
	client.Close()
}

func invoke(ctx context.Context, client dapr.Client) {
	order := &dapr.DataContent{Data: []byte(`{"orderId":1}`), ContentType: "application/json"}
	echo := env("SDK_ECHO_ID", "echo")
	answer, err := client.InvokeMethodWithContent(ctx, echo, "neworder", "post", order)
	must("invoke", err)
	check("the answer", string(answer), `{"orderId":1}`)
	_, err = client.InvokeMethod(ctx, "nobody-knows-it", "x", "get")
	check("invoke an unknown app", says(err, "couldn't find service"), true)
}

// tells checks what of a call an app is told.
func tells(ctx context.Context, client dapr.Client, app string) {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-colour", "green")
	body := &dapr.DataContent{Data: []byte("<a/>"), ContentType: "text/xml"}
	answer, err := client.InvokeMethodWithContent(ctx, app, "about?size=2", "put", body)
	must("ask an app what it is told", err)
	wanted := map[string]any{"verb": "PUT", "query": "size=2", "contentType": "text/xml",
		"colour": "green", "caller": env("SDK_APP_ID", "sdk"), "served": true}
	var found map[string]any
	must("its JSON", json.Unmarshal(answer, &found))
	check("something of it", len(found) > 0, true)
	for key, value := range found {
		check(key, value, wanted[key])
	}
}

func failure(ctx context.Context, client dapr.Client, app string) *status.Status {
	_, err := client.InvokeMethod(ctx, app, "fail", "post")
	return status.Convert(err)
}

func http(ctx context.Context, client dapr.Client) {
	echo := env("SDK_ECHO_ID", "echo")
	tells(ctx, client, echo)
	found := failure(ctx, client, echo)
	check("404 of an app", found.Code(), codes.NotFound)
	check("its text", found.Message(), "Not Found")
	info, ok := found.Details()[0].(*errdetails.ErrorInfo)
	check("its details", ok, true)
	check("its body", info.GetMetadata()["http.error_message"], "no such order")
}

func served(ctx context.Context, client dapr.Client, app string) {
	order := &dapr.DataContent{Data: []byte(`{"orderId":1}`), ContentType: "application/json"}
	answer, err := client.InvokeMethodWithContent(ctx, app, "neworder", "post", order)
	must("invoke a gRPC app", err)
	check("the answer", string(answer), `{"orderId":1}`)
	tells(ctx, client, app)
	found := failure(ctx, client, app)
	// Of the SDKs only Python's app side can't choose the status.
	check("its status", found.Code() == codes.NotFound || found.Code() == codes.Unknown, true)
	check("its text", strings.Contains(found.Message(), "no such order"), true)
}

func sidecarMetadata(ctx context.Context, client dapr.Client) {
	must("set metadata", client.SetMetadata(ctx, "colour", "green"))
	found, err := client.GetMetadata(ctx)
	must("metadata", err)
	check("id", found.ID, env("SDK_APP_ID", "sdk"))
	check("extended metadata", found.ExtendedMetadata["colour"], "green")
	var names []string
	for _, component := range found.RegisteredComponents {
		names = append(names, component.Name)
	}
	check("components", strings.Contains(strings.Join(names, " "), store), true)
}

func state(ctx context.Context, client dapr.Client) {
	must("save", client.SaveState(ctx, store, "a", []byte(`{"n":1}`), nil))
	first := value(ctx, client, "a")
	check("state", string(first.Value), `{"n":1}`)
	must("save by etag", client.SaveStateWithETag(ctx, store, "a", []byte(`{"n":2}`), first.Etag, nil))
	strict := []dapr.StateOption{
		dapr.WithConcurrency(dapr.StateConcurrencyFirstWrite),
		dapr.WithConsistency(dapr.StateConsistencyStrong),
	}
	late := client.SaveStateWithETag(ctx, store, "a", []byte("late"), "77777", nil, strict...)
	check("a wrong etag is refused", says(late, "etag"), true)
	several, err := client.GetBulkState(ctx, store, []string{"a", "none"}, nil, 10)
	must("bulk", err)
	var pairs []string
	for _, item := range several {
		pairs = append(pairs, item.Key+"="+string(item.Value))
	}
	sort.Strings(pairs)
	check("its values", strings.Join(pairs, " "), `a={"n":2} none=`)
	must("delete", client.DeleteState(ctx, store, "a", nil))
	check("deleted", len(value(ctx, client, "a").Value), 0)
}

func transaction(ctx context.Context, client dapr.Client) {
	must("save", client.SaveState(ctx, store, "b", []byte("1"), nil))
	must("transaction", client.ExecuteStateTransaction(ctx, store, nil, []*dapr.StateOperation{
		{Type: dapr.StateOperationTypeUpsert, Item: &dapr.SetStateItem{Key: "c", Value: []byte("3")}},
		{Type: dapr.StateOperationTypeDelete, Item: &dapr.SetStateItem{Key: "b"}},
	}))
	check("set in it", string(value(ctx, client, "c").Value), "3")
	check("deleted in it", len(value(ctx, client, "b").Value), 0)
}

func value(ctx context.Context, client dapr.Client, key string) *dapr.StateItem {
	item, err := client.GetState(ctx, store, key, nil)
	must("get "+key, err)
	return item
}

func says(err error, text string) bool {
	return err != nil && strings.Contains(err.Error(), text)
}

func must(what string, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
	fmt.Println("ok:", what)
}

func check[T comparable](what string, found, wanted T) {
	if found != wanted {
		log.Fatalf("%s: found %v, wanted %v", what, found, wanted)
	}
	fmt.Println("ok:", what)
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
