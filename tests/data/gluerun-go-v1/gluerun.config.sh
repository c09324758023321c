# Sourced by every script of glueRun-go.
GLUERUN_MAX_CONCURRENT=2

gluerun_before_dispatch() {
  echo "about to start $1"
}
