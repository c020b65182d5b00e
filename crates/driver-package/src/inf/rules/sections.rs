//! Rules of what is installed: from `Manufacturer` to the service and the interfaces.

use super::registry::number;
use super::{Review, Rule};
use crate::inf::{Entry, Section};

/// The first build of Windows that has directory 13.
const FIRST_BUILD: u32 = 16299;

impl<'a> Review<'a> {
    /// `Manufacturer`, and all that it leads to.
    pub(super) fn targets(&mut self) {
        for name in ["SourceDisksNames", "DestinationDirs"] {
            if self.known(name).is_none() {
                self.find(Rule::MissingSection, 0, format!("there is no section [{name}]"));
            }
        }
        let Some(section) = self.known("Manufacturer") else {
            return self.find(Rule::MissingSection, 0, "there is no section [Manufacturer]");
        };
        for entry in &section.entries {
            if entry.values.len() < 2 {
                self.find(Rule::Target, entry.line, "no processor and no version of Windows is named");
            }
            for target in entry.values.iter().skip(1) {
                let Some(architecture) = architecture(target) else {
                    let text =
                        format!("{target} is not Windows 10.0...{FIRST_BUILD} or newer on amd64 or arm64");
                    self.find(Rule::Target, entry.line, text);
                    continue;
                };
                if let Some(models) = self.follow(entry, &format!("{}.{target}", entry.value(0))) {
                    self.models(models, architecture);
                }
            }
        }
    }

    fn models(&mut self, models: &'a Section, architecture: &str) {
        if models.entries.is_empty() {
            self.find(Rule::Target, models.line, format!("[{}] names no device", models.name));
        }
        for entry in &models.entries {
            if entry.key.is_none() || entry.values.len() < 2 || entry.value(1).is_empty() {
                self.find(
                    Rule::Target,
                    entry.line,
                    "a device needs a name, an install section and an identifier",
                );
            } else {
                self.device(entry, architecture);
            }
        }
    }

    /// What is installed for a device. The sections of a device all have the ending of the one that Windows takes
    /// first.
    fn device(&mut self, model: &'a Entry, architecture: &str) {
        let decorated = format!("{}.NT{architecture}", model.value(0));
        let name = match self.inf.section(&decorated) {
            Some(_) => decorated,
            None => format!("{}.NT", model.value(0)),
        };
        let Some(install) = self.follow(model, &name) else { return };
        self.only(install, &["Include", "Needs", "CopyFiles", "AddReg"]);
        if let (Some(needs), None) = (install.entry("Needs"), install.entry("Include")) {
            self.find(Rule::Include, needs.line, format!("[{}] has Needs, but not Include", install.name));
        }
        let copied = self.copied(install, architecture);
        self.registry_of(install);
        if let Some(hardware) = self.follow(model, &format!("{name}.HW")) {
            self.only(hardware, &["AddReg"]);
            self.registry_of(hardware);
        }
        if let Some(interfaces) = self.follow(model, &format!("{name}.Interfaces")) {
            self.interfaces(interfaces);
        }
        if let Some(services) = self.follow(model, &format!("{name}.Services")) {
            self.services(services, &copied);
        }
    }

    fn interfaces(&mut self, interfaces: &'a Section) {
        self.only(interfaces, &["AddInterface"]);
        for entry in &interfaces.entries {
            if !self.inf.expand(entry.value(0)).starts_with('{') {
                self.find(Rule::Guid, entry.line, format!("{} is not a GUID", entry.value(0)));
            }
            if let Some(interface) = self.follow(entry, entry.value(2)) {
                self.only(interface, &["AddReg"]);
                self.registry_of(interface);
            }
        }
    }

    /// Exactly one service, which is the device's function driver.
    fn services(&mut self, services: &'a Section, copied: &[String]) {
        self.only(services, &["AddService"]);
        let functions = services.entries.iter().filter(|entry| number(entry.value(1)) == Some(2));
        if services.entries.len() != 1 || functions.count() != 1 {
            let text =
                format!("[{}] does not add one service as the device's function driver", services.name);
            self.find(Rule::Service, services.line, text);
        }
        for entry in &services.entries {
            if let Some(service) = self.follow(entry, entry.value(2)) {
                self.service(service, copied);
            }
        }
    }

    fn service(&mut self, service: &'a Section, copied: &[String]) {
        let keys =
            ["DisplayName", "Description", "ServiceType", "StartType", "ErrorControl", "ServiceBinary"];
        self.only(service, &keys);
        // SERVICE_KERNEL_DRIVER, SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL.
        for (key, value) in [("ServiceType", 1), ("StartType", 3), ("ErrorControl", 1)] {
            let entry = service.entry(key);
            if entry.and_then(|entry| number(entry.value(0))) != Some(value) {
                let line = entry.map_or(service.line, |entry| entry.line);
                self.find(Rule::Service, line, format!("{key} is not {value}"));
            }
        }
        let binary = service.entry("ServiceBinary");
        let path = binary.map_or("", |entry| entry.value(0));
        if !copied.iter().any(|file| path.eq_ignore_ascii_case(&format!("%13%\\{file}"))) {
            let line = binary.map_or(service.line, |entry| entry.line);
            self.find(Rule::Service, line, format!("ServiceBinary, {path}, is not a file that is copied"));
        }
    }
}

/// The processor of a target such as `NTamd64.10.0...19041`; nothing if it is not one that this project knows.
fn architecture(target: &str) -> Option<&'static str> {
    let parts: Vec<&str> = target.split('.').collect();
    let &[system, "10", "0", "", "", build] = parts.as_slice() else { return None };
    if build.parse::<u32>().ok()? < FIRST_BUILD {
        return None;
    }
    ["amd64", "arm64"].into_iter().find(|name| system.eq_ignore_ascii_case(&format!("NT{name}")))
}

#[cfg(test)]
mod tests {
    use super::architecture;

    #[test]
    fn a_target_is_a_processor_and_a_build_that_has_directory_13() {
        assert_eq!(architecture("NTamd64.10.0...19041"), Some("amd64"));
        assert_eq!(architecture("ntARM64.10.0...16299"), Some("arm64"));
        for other in
            ["NTamd64", "NTamd64.10.0", "NTamd64.10.0...16298", "NTx86.10.0...19041", "NTamd64.6.1...19041"]
        {
            assert_eq!(architecture(other), None, "{other}");
        }
    }
}
