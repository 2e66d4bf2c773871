package clerk_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

func ExampleVerifier_Verify() {
	ctx := context.Background()
	key := clerktest.SharedKey("ins_example")
	server := clerktest.NewServer(key)
	defer server.Close()

	verifier, err := clerk.New(ctx, clerk.Config{Issuer: server.Issuer(), Leeway: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()

	claims := clerktest.SessionClaims(server.Issuer(), "user_2abc", time.Now())
	header := http.Header{"Authorization": {"Bearer " + key.Sign(claims)}}
	token, err := clerk.BearerToken(header)
	if err != nil {
		fmt.Println(clerk.Reason(err))
		return
	}
	session, err := verifier.Verify(ctx, token)
	if err != nil {
		fmt.Println(clerk.Reason(err))
		return
	}
	fmt.Println(session.UserID)

	_, err = verifier.Verify(ctx, token[:len(token)-2])
	fmt.Println(clerk.Reason(err))
	// Output:
	// user_2abc
	// token_signature_invalid
}
