// Package bpf holds the C programs of the eBPF datapath, their compiled objects and the Go
// view of their maps, both generated.
package bpf

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -cflags "-O2 -g -Wall -Werror -mcpu=v3 -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" -type port -type port_index -type port_counts -type port_drops -type cpu -type flow_slot -type key_tail -type flow_stats -type subtable -type bucket -type order -type dp_config -type act -type act_block -type inject_rec -type upcall_rec -type totals -type dp_meter -type ct_conn -type ct_tuple -type ct_zone -type ct_held -type ct_policy -type ct_table -type ct_counts -type ct_job -type ct_alg -type ct_note -type ct_frag -type ct_frag_key -type ct_frag_table -type ctx -type ctx_state -type drop_reason -type act_op -type port_kind -type tunnel_kind -type next_hop -type next_hop_key -type underlay_addr -type prog_index Datapath datapath.bpf.c
