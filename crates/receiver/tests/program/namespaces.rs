//! Several interfaces, of which some come later: the group is heard on every one of them.
//!
//! Each test runs in a network namespace of its own, which `unshare` makes; the other ends of its wires are in another one.
//! Nothing of it touches the networks of this computer.

use std::process::{Child, Command, Stdio};

use crate::namespace::{in_namespace, ip, text_of};
use crate::running::{Scream, audio, format, packets, wait_until};

/// Another computer, with a wire to each interface of this one.
struct Far {
    process: Child,
}

impl Far {
    fn new() -> Self {
        ip("link set lo up");
        let process = Command::new("unshare").args(["--net", "cat"]).stdin(Stdio::piped()).spawn();
        let far = Self { process: process.expect("unshare, of util-linux") };
        // Until it has a namespace of its own, the wires would end in this one.
        let namespace =
            |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).expect("it runs");
        wait_until("it has", || namespace(&far.process.id().to_string()) != namespace("self"));
        far
    }

    /// Lays a wire: an interface with this name, in a net with this number.
    fn lay(&self, name: &str, net: u8) {
        ip(&format!("link add {name} type veth peer name {name}-end netns {}", self.process.id()));
        self.run(&format!("ip address add 10.77.{net}.1/24 dev {name}-end"));
        self.run(&format!("ip -6 address add fd77:{net}::1/64 dev {name}-end nodad"));
        self.run(&format!("ip link set {name}-end up"));
        ip(&format!("address add 10.77.{net}.2/24 dev {name}"));
        ip(&format!("-6 address add fd77:{net}::2/64 dev {name} nodad"));
        ip(&format!("link set {name} up"));
        let shown = || text_of(Command::new("ip").args(["link", "show", name]));
        wait_until("the wire works", || shown().contains("state UP"));
    }

    /// Runs a command there; gives what it prints.
    fn run(&self, command: &str) -> String {
        let namespace = format!("--net=/proc/{}/ns/net", self.process.id());
        text_of(Command::new("nsenter").arg(&namespace).args(["bash", "-c", command]))
    }

    /// Sends a packet from there by a wire to a group.
    fn send(&self, name: &str, group: &str, port: u16) {
        let (family, net) = if group.contains(':') { ("-6", "ff00::/8") } else { ("-4", "224.0.0.0/4") };
        self.run(&format!("ip {family} route replace {net} dev {name}-end table local metric 1"));
        let packet = packets(format(16, 2), &audio(format(16, 2), 10, 1)).remove(0);
        let bytes: String = packet.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        self.run(&format!("printf '{bytes}' > /dev/udp/{group}/{port}"));
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // It ends when nobody writes to it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// The program, which says what it hears in JSON.
fn listen(options: &[&str]) -> (Scream, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = format!("wav:{}", folder.path().join("a.wav").display());
    (Scream::start(&[&["-o", &output, "--json"], options].concat()), folder)
}

/// Waits for the event that this sender is heard, or that it is ignored: either way its packet has come.
fn wait_for_sender(scream: &Scream, address: &str) {
    let begin = if address.contains(':') { format!("[{address}]:") } else { format!("{address}:") };
    scream.wait_for_json(|object| object["sender"].as_str().is_some_and(|sender| sender.starts_with(&begin)));
}

const GROUP: &str = "239.255.77.77";
const GROUP6: &str = "ff15::efff:4d4d";

#[test]
fn multicast_is_heard_on_whichever_interface_it_comes() {
    in_namespace("namespaces::multicast_is_heard_on_whichever_interface_it_comes", || {
        let far = Far::new();
        far.lay("first", 1);
        far.lay("second", 2);
        // A system without a choice would listen where the default route is.
        ip("route add default via 10.77.2.1");
        let (scream, _folder) = listen(&[]);
        scream.wait_for_json(|object| {
            object["listening"].as_str().is_some_and(|text| text == "239.255.77.77:4010 on lo, first, second")
        });
        far.send("first", GROUP, 4010);
        wait_for_sender(&scream, "10.77.1.1");
        far.send("second", GROUP, 4010);
        wait_for_sender(&scream, "10.77.2.1");
        scream.end().done();
    });
}

#[test]
fn an_interface_that_comes_later_or_comes_back_is_joined() {
    in_namespace("namespaces::an_interface_that_comes_later_or_comes_back_is_joined", || {
        let far = Far::new();
        let (scream, _folder) = listen(&[]);
        far.lay("later", 1);
        scream.wait_for_texts("listens on later", 1);
        far.send("later", GROUP, 4010);
        wait_for_sender(&scream, "10.77.1.1");
        ip("link delete later");
        scream.wait_for_texts("later is gone", 1);
        // With the same name, and another number.
        far.lay("later", 3);
        scream.wait_for_texts("listens on later", 2);
        far.send("later", GROUP, 4010);
        wait_for_sender(&scream, "10.77.3.1");
        scream.end().done();
    });
}

#[test]
fn only_the_interface_that_is_named_is_listened_on() {
    in_namespace("namespaces::only_the_interface_that_is_named_is_listened_on", || {
        let far = Far::new();
        far.lay("right", 1);
        far.lay("wrong", 2);
        for interface in ["right", "10.77.1.2"] {
            let (scream, _folder) = listen(&["-i", interface]);
            far.send("wrong", GROUP, 4010);
            far.send("right", GROUP, 4010);
            wait_for_sender(&scream, "10.77.1.1");
            scream.wait_for_received(1);
            let ended = scream.end();
            assert_eq!(ended.json().last().expect("the totals")["received"], 1);
            ended.done();
        }
    });
}

#[test]
fn the_group_of_ipv6_is_heard_on_whichever_interface_it_comes() {
    in_namespace("namespaces::the_group_of_ipv6_is_heard_on_whichever_interface_it_comes", || {
        let far = Far::new();
        far.lay("first", 1);
        far.lay("second", 2);
        let (scream, _folder) = listen(&["-g", "multicast6"]);
        far.send("first", GROUP6, 4010);
        wait_for_sender(&scream, "fd77:1::1");
        far.send("second", GROUP6, 4010);
        wait_for_sender(&scream, "fd77:2::1");
        scream.end().done();
    });
}

#[test]
fn an_interface_that_is_named_by_an_address_of_ipv6_listens_to_the_group_of_ipv6() {
    in_namespace(
        "namespaces::an_interface_that_is_named_by_an_address_of_ipv6_listens_to_the_group_of_ipv6",
        || {
            let far = Far::new();
            far.lay("first", 1);
            far.lay("second", 2);
            let (scream, _folder) = listen(&["-i", "fd77:2::2"]);
            far.send("first", GROUP6, 4010);
            far.send("second", GROUP6, 4010);
            wait_for_sender(&scream, "fd77:2::1");
            assert_eq!(scream.end().json().last().expect("the totals")["received"], 1);
        },
    );
}

#[test]
fn an_interface_that_is_down_is_waited_for() {
    in_namespace("namespaces::an_interface_that_is_down_is_waited_for", || {
        let far = Far::new();
        far.lay("first", 1);
        far.lay("second", 2);
        ip("link set first down");
        let (scream, _folder) = listen(&["-i", "first"]);
        scream.wait_for_json(|object| object["listening"] == "239.255.77.77:4010, once first is up");
        ip("link set first up");
        scream.wait_for_texts("listens on first", 1);
        far.send("second", GROUP, 4010);
        far.send("first", GROUP, 4010);
        wait_for_sender(&scream, "10.77.1.1");
        assert_eq!(scream.end().json().last().expect("the totals")["received"], 1);
    });
}

/// Multicast that stops after some minutes: a switch passes a group on where it was asked for, and forgets that if no router
/// reminds anyone to ask again.
#[test]
fn a_switch_that_has_forgotten_the_group_is_told_again_when_nothing_comes() {
    in_namespace(
        "namespaces::a_switch_that_has_forgotten_the_group_is_told_again_when_nothing_comes",
        || {
            let far = Far::new();
            far.lay("near", 1);
            far.run(
                "ip link add switch type bridge mcast_snooping 1 mcast_querier 0 && ip link set switch up",
            );
            far.run("ip link set near-end master switch");
            let is_known = || far.run("bridge mdb show").contains(&format!("port near-end grp {GROUP}"));
            let (scream, _folder) = listen(&[]);
            wait_until("the switch is told", is_known);
            // The system says it twice, in the first second or two.
            scream.wait_for_json(|object| object["seconds"].as_f64() >= Some(4.0));
            far.run(&format!("bridge mdb del dev switch port near-end grp {GROUP} temp"));
            assert!(!is_known(), "the switch has not forgotten");
            wait_until("the switch is told again", is_known);
            scream.end().done();
        },
    );
}
