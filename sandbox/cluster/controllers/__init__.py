"""The controllers: each looks at the store and brings it one step nearer to what was asked for."""
